/**
 * What every agent of a mesh has to know about trust, in one publication: the roots that hold, who is cut off, and
 * which keys are to be replaced. Signed by a root that the agent trusts already.
 */
import { LIMITS } from './limits.ts';
import { isLabel } from './names.ts';
import { isPublicNkey } from './nkey.ts';
import { isHeadProof, isRevision, type Revision } from './revision.ts';

/** Of an agent: it holds for what was issued before that time (wall clock of the controller). */
export interface Cutoff {
  readonly agent: string;
  readonly beforeMs: number;
}

export interface TrustList {
  readonly version: 1;
  readonly mesh: string;
  /** `TRUST_NAME`: it is published like what is about a service. */
  readonly service: string;
  readonly revision: Revision;
  /** The change set of the identity store that it follows from, signed by itself: agents tell it. */
  readonly head?: string;
  /** Public NKeys (`A…`); the first signs what is new. Two while one takes over from the other. */
  readonly roots: readonly string[];
  /** Identities that hold no more, whatever they say. */
  readonly revoked: readonly Cutoff[];
  /** Agents that have to make new keys, if theirs are older. */
  readonly renew: readonly Cutoff[];
}

/** The name under which it is published; no service can have it, because `weft` as a namespace is reserved. */
export const TRUST_NAME = 'trust.weft';
const ROOTS_MAX = 2;

/** A list whose signature has been checked, if it is well formed and of this mesh; else undefined. */
export function readTrustList(mesh: string, value: Readonly<Record<string, unknown>>): TrustList | undefined {
  const list = value as Partial<TrustList>;
  const sound =
    list.version === 1 &&
    list.mesh === mesh &&
    list.service === TRUST_NAME &&
    isRevision(list.revision) &&
    (list.head === undefined || isHeadProof(list.head)) &&
    Array.isArray(list.roots) &&
    list.roots.length >= 1 &&
    list.roots.length <= ROOTS_MAX &&
    list.roots.every((root) => isPublicNkey('account', root)) &&
    areCutoffs(list.revoked) &&
    areCutoffs(list.renew);
  return sound ? (list as TrustList) : undefined;
}

function areCutoffs(value: unknown): value is readonly Cutoff[] {
  return (
    Array.isArray(value) &&
    value.length <= LIMITS.cutoffsMax &&
    value.every(
      (one: unknown) =>
        typeof one === 'object' &&
        one !== null &&
        typeof (one as Cutoff).agent === 'string' &&
        isLabel((one as Cutoff).agent) &&
        Number.isSafeInteger((one as Cutoff).beforeMs),
    )
  );
}
