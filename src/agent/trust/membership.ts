/** An agent's place in the mesh: its keyring, what it asks the controller with, and what it keeps on disk of both. */
import { randomBytes } from 'node:crypto';
import { type AgentKeys, createAgentKeys } from '../../protocol/agent-keys.ts';
import { type Grant, openGrant, proofOfNext, signRenewal } from '../../protocol/enrolment.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { verificationKey } from '../../protocol/nkey.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../../protocol/revision.ts';
import { type PublicationKind, publicationKey } from '../../protocol/subjects.ts';
import { readTrustList, type TrustList } from '../../protocol/trust-list.ts';
import type { SnapshotDisk } from '../control/snapshot-disk.ts';
import { type AgentKeyring, createAgentKeyring } from './agent-keyring.ts';
import type { IdentityFolder, StoredIdentity } from './identity-folder.ts';

/** A renewal that is about to be asked for. */
export interface Question {
  readonly message: string;
  readonly nonce: string;
  /** Those that the agent has if it is granted. */
  readonly keys: AgentKeys;
}

export interface Membership {
  readonly keyring: AgentKeyring;
  /** Since when it has its keys, by the controller's clock, ms. */
  readonly keysSinceMs: number;
  /** Where the trust list is kept. */
  readonly trustDisk: SnapshotDisk;
  /** What is published with a lower revision is an old publication that somebody plays again. */
  floor(kind: PublicationKind, service: string): Revision;
  /** @param newKeys asks for new keys in the place of its own. @throws the error of the file system */
  ask(services: readonly string[], newKeys: boolean): Promise<Question>;
  /** Takes the answer to `question`. @throws WeftError `denied` if it is none */
  take(question: Question, text: string): Promise<Grant>;
  /** Takes a newer trust list, whose signature has been checked. */
  trust(list: TrustList): void;
}

export interface MembershipParts {
  readonly folder: IdentityFolder;
  readonly stored: StoredIdentity;
  readonly keys: AgentKeys;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** It could not be kept; the agent goes on, and would start with what it had before. */
  readonly notKept: (error: unknown) => void;
}

/** @throws WeftError `denied` if what is stored does not belong together */
export function createMembership({ folder, stored, keys, wallMs, notKept }: MembershipParts): Membership {
  const { mesh, agent, identity, roots } = stored;
  const keyring = createAgentKeyring({ mesh, agent, keys, identity, roots, now: wallMs });
  keyring.take(stored, keys);
  let state = stored;
  let next: AgentKeys | undefined;
  let saving: Promise<void> = Promise.resolve();

  const save = () => {
    saving = folder.save(state, next?.publicKey).catch(notKept);
    return saving;
  };
  const list = trustListOf(keyring, stored.trust);
  if (list !== undefined) keyring.trust(list);

  return Object.freeze({
    keyring,
    get keysSinceMs() {
      return state.keysSinceMs;
    },
    trustDisk: Object.freeze({
      read: async () => (state.trust === '' ? undefined : state.trust),
      write(_kind: PublicationKind, _service: string, trust: string) {
        state = { ...state, trust };
        save();
      },
      settled: () => saving,
    }),
    floor: (kind: PublicationKind, service: string) =>
      state.revisions[publicationKey(kind, service)] ?? NO_REVISION,
    async ask(services: readonly string[], newKeys: boolean) {
      if (newKeys) {
        next ??= (await folder.spareKeys()) ?? createAgentKeys();
        // What is saved from now on, for whatever reason, leaves them there.
        await folder.keepKeys(next);
      }
      const nonce = randomBytes(16).toString('hex');
      const asked = newKeys ? next : undefined;
      const request = { mesh, agent, nonce, timeMs: wallMs(), services };
      const message = signRenewal(
        keyring.keys,
        keyring.identityDocument,
        asked === undefined
          ? request
          : {
              ...request,
              next: {
                key: asked.publicKey,
                x25519: Buffer.from(asked.boxKey).toString('base64url'),
                proof: proofOfNext(asked, agent, nonce),
              },
            },
      );
      return { message, nonce, keys: asked ?? keyring.keys };
    },
    async take(question: Question, text: string) {
      const grant = openGrant(keyring.roots.map(verificationKey), mesh, agent, question.nonce, text);
      keyring.take(grant, question.keys);
      if (question.keys === next) next = undefined;
      state = afterGrant(state, grant, keyring, question.keys);
      await save();
      return grant;
    },
    trust(newer: TrustList) {
      keyring.trust(newer);
      state = { ...state, roots: keyring.roots };
      save();
    },
  });
}

/** What an agent keeps that has just been enrolled. @param root that it pins */
export function storedAfterJoin(
  grant: Grant,
  keys: AgentKeys,
  root: string,
  issuedAtMs: number,
): StoredIdentity {
  const { mesh, agent, identity, sealedBy, trust, revisions } = grant;
  return {
    version: 1,
    mesh,
    agent,
    key: keys.publicKey,
    keysSinceMs: issuedAtMs,
    roots: [root],
    identity,
    sealedBy,
    keys: grant.keys,
    trust,
    revisions,
  };
}

function afterGrant(
  before: StoredIdentity,
  { identity, sealedBy, keys, revisions }: Grant,
  keyring: AgentKeyring,
  own: AgentKeys,
): StoredIdentity {
  const keysSinceMs = before.key === own.publicKey ? before.keysSinceMs : keyring.identity.issuedAtMs;
  return {
    ...before,
    key: own.publicKey,
    keysSinceMs,
    identity,
    sealedBy,
    keys,
    revisions: higher(before.revisions, revisions),
  };
}

/** A floor never sinks. Those of services that are called no more leave first. */
function higher(
  before: StoredIdentity['revisions'],
  granted: StoredIdentity['revisions'],
): StoredIdentity['revisions'] {
  const all = new Map(Object.entries(granted));
  for (const [key, revision] of Object.entries(before)) {
    if (!all.has(key) && all.size >= 2 * LIMITS.servicesKnownMax) continue;
    if (compareRevisions(revision, all.get(key) ?? NO_REVISION) > 0) all.set(key, revision);
  }
  return Object.fromEntries(all);
}

/** The list of a text that was kept, or that came with a grant; undefined if no root that holds has signed it. */
function trustListOf(keyring: AgentKeyring, text: string): TrustList | undefined {
  if (text === '') return undefined;
  try {
    return readTrustList(keyring.mesh, keyring.open('weft-trust', text, LIMITS.publicationBytesMax));
  } catch {
    return undefined;
  }
}
