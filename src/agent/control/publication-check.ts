/** Whether a text that came from the bus or from disk is a publication to act on. */
import { WeftError } from '../../protocol/errors.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../../protocol/revision.ts';
import { publicationType } from '../../protocol/signed-document.ts';
import type { PublicationKind } from '../../protocol/subjects.ts';

/** What all publications have. */
export interface Publication {
  readonly mesh: string;
  readonly service: string;
  readonly revision: Revision;
  /** The change set that it follows from; number 0: the store was new, and nothing was ever applied. */
  readonly policy?: Revision;
}

/** Why a publication changes nothing; the label under which it is counted. */
export type PublicationRefusal =
  /** It says that the key was deleted: anybody who can write the bucket can say so. */
  | 'deleted'
  /** The root did not sign it as what it is taken for. */
  | 'signature'
  /** It is about another service, or of another mesh. */
  | 'service'
  /** It is not of the form that this release knows. */
  | 'shape'
  /** What is held, or what the controller has published since, is newer. */
  | 'revision'
  /** It follows from a store without anything, and what is held from one that was lost: nobody has taken that back. */
  | 'blank';

export class RefusedPublication extends Error {
  readonly reason: PublicationRefusal;

  constructor(reason: PublicationRefusal, details: string) {
    super(details);
    this.name = 'RefusedPublication';
    this.reason = reason;
  }
}

/** Gives a publication its type once its signature has been checked; undefined if it is malformed. */
export type ReadPublication<P extends Publication> = (
  mesh: string,
  value: Readonly<Record<string, unknown>>,
) => P | undefined;

/**
 * The publication in `text`; undefined if it is the one that is held.
 * @param floor what is older was published once, and is not any more
 * @throws RefusedPublication
 */
export function checkPublication<P extends Publication>(
  kind: PublicationKind,
  service: string,
  text: string,
  held: P | undefined,
  floor: Revision,
  keyring: Keyring,
  read: ReadPublication<P>,
): P | undefined {
  if (text === '') throw new RefusedPublication('deleted', `the ${kind} of ${service} was deleted`);
  const value = opened(kind, text, keyring);
  if (value.mesh !== keyring.mesh || value.service !== service) {
    throw new RefusedPublication('service', `the ${kind} of ${service} is about another service`);
  }
  const publication = read(keyring.mesh, value);
  if (publication === undefined) {
    throw new RefusedPublication('shape', `the ${kind} of ${service} is not of a form that is known here`);
  }
  const newer = compareRevisions(publication.revision, held?.revision ?? NO_REVISION);
  if (newer === 0) return undefined;
  if (newer < 0) {
    const [given, has] = [publication.revision.join('.'), held?.revision.join('.')];
    throw new RefusedPublication('revision', `the ${kind} of ${service} is ${given}, and ${has} is held`);
  }
  if (compareRevisions(publication.revision, floor) < 0) {
    const [given, least] = [publication.revision.join('.'), floor.join('.')];
    throw new RefusedPublication(
      'revision',
      `the ${kind} of ${service} is ${given}, and ${least} was published`,
    );
  }
  if (publication.policy?.[1] === 0 && (held?.policy?.[1] ?? 0) > 0) {
    const what = `the ${kind} of ${service} is of a policy store that was made anew and holds nothing yet`;
    throw new RefusedPublication('blank', `${what}: change set ${held?.policy?.[1]} is held on to`);
  }
  return publication;
}

function opened(kind: PublicationKind, text: string, keyring: Keyring): Readonly<Record<string, unknown>> {
  try {
    return keyring.open(publicationType(kind), text, LIMITS.publicationBytesMax);
  } catch (error) {
    if (error instanceof WeftError) throw new RefusedPublication('signature', error.message);
    throw error;
  }
}
