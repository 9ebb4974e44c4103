/**
 * Identities of a mesh, put together: who is enrolled, what they are granted, and what all agents are told of it, while this
 * controller leads.
 */
import type { KV } from '@nats-io/kv';
import { WeftError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Root } from '../../protocol/root.ts';
import { type PublishedServiceKey, publishedServiceKey } from '../../protocol/service-key.ts';
import { openDocument } from '../../protocol/signed-document.ts';
import { readTrustList, TRUST_NAME, type TrustList } from '../../protocol/trust-list.ts';
import type { SpentCall } from '../journal.ts';
import type { Timing } from '../limits.ts';
import type { Publisher } from '../publisher.ts';
import type { Roots } from '../roots.ts';
import type { Seal } from '../seal.ts';
import { createSerial, type Serial } from '../serial.ts';
import { createStore } from '../store.ts';
import { createGrants } from './grants.ts';
import type { IdentityRecord } from './identity-record.ts';
import { createIdentityVerbs, type IdentityVerbOptions } from './identity-verbs.ts';
import { createRegistry } from './registry.ts';
import { createRenewalGuard } from './renewal-guard.ts';

export interface IdentitiesOptions {
  readonly mesh: string;
  readonly roots: Roots;
  readonly reload: IdentityVerbOptions['reload'];
  readonly identity: KV;
  readonly state: KV;
  readonly seal: Seal;
  readonly timing: Pick<Timing, 'keyLeadMs' | 'keyLeadRevokedMs'>;
  readonly payloadBytesMax: () => number;
  readonly wallMs: () => number;
  /** Changes happen one after another. */
  readonly inTurn: Serial;
  readonly leading: () => boolean;
  /** Whether agents have been listened to for long enough to know what they know. */
  readonly settled: () => boolean;
  /** Made later than this. */
  readonly publisher: () => Publisher;
  /** The endpoint lists of these services are to be published. */
  readonly endpointsChanged: (services: readonly string[]) => void;
  readonly cut: IdentityVerbOptions['cut'];
  readonly refused: IdentityVerbOptions['refused'];
  readonly audit: IdentityVerbOptions['audit'];
  /** Who is enrolled, or which keys hold, has changed. */
  readonly committed: () => void;
  /** Something could not be published. */
  readonly failed: (error: unknown) => void;
  readonly tampered: (bucket: 'identity' | 'state', key: string) => void;
}

export type Identities = ReturnType<typeof createIdentities>;

export function createIdentities(options: IdentitiesOptions) {
  const { mesh, roots, identity, state, seal, timing, payloadBytesMax, wallMs, inTurn, leading } = options;
  const store = createStore<IdentityRecord>({
    policy: identity,
    state,
    name: 'identity',
    seal,
    payloadBytesMax,
    wallMs,
    tampered: (bucket, key) => options.tampered(bucket === 'state' ? 'state' : 'identity', key),
  });
  const startedMs = wallMs();
  /** Before agents were heard, only of a chain that this process has begun is it known that none of it is missing. */
  const settled = () => options.settled() || store.at[0] >= startedMs;
  const registry = createRegistry({
    store,
    roots,
    timing,
    wallMs,
    committed: options.committed,
    settled,
    trustBytesMax: () => Math.min(payloadBytesMax(), LIMITS.publicationBytesMax),
  });
  const guard = createRenewalGuard(wallMs);
  const published = createSerial();
  /** Public keys are derived (0.3 ms each): for each service those of its epochs. */
  const publicKeys = new Map<string, readonly PublishedServiceKey[]>();

  const publishTrust = () =>
    published(async () => {
      if (!leading() || !options.settled() || store.doubt !== undefined || store.lost !== undefined) return;
      const { revoked, renew } = registry.cutoffs();
      await options.publisher().trust((revision) => ({
        version: 1,
        mesh,
        service: TRUST_NAME,
        revision,
        head: store.proof,
        roots: roots.publicKeys,
        revoked,
        renew,
      }));
    });

  const changed = async (services: readonly string[]): Promise<void> => {
    // What was decided holds: if publishing fails now, the next leader does it.
    await publishTrust().catch(options.failed);
    options.endpointsChanged(services);
  };

  /** Of the store, when it was read as another controller has written it. */
  let seen = '';
  const grants = createGrants({
    mesh,
    roots,
    registry,
    publisher: options.publisher,
    wallMs,
  });

  return Object.freeze({
    registry,

    /** What agents are told of trust, whichever controller leads; undefined if nothing is. @throws an error of the client */
    async trustList(): Promise<TrustList | undefined> {
      const text = await options.publisher().document('trust', TRUST_NAME);
      if (text === null) return undefined;
      try {
        return readTrustList(mesh, openDocument(roots.keys, 'weft-trust', text, text.length));
      } catch (error) {
        if (error instanceof WeftError) return undefined;
        throw error;
      }
    },

    /** Why nothing may follow from what is stored; undefined if all is well. */
    get doubt(): string | undefined {
      return store.doubt;
    },

    handlers: createIdentityVerbs({
      mesh,
      roots,
      reload: options.reload,
      registry,
      grants,
      guard,
      inTurn,
      leading,
      wallMs,
      changed,
      keysMade: options.endpointsChanged,
      cut: options.cut,
      refused: options.refused,
      audit: options.audit,
    }),

    /**
     * Makes the store this controller's to write, and reads it.
     * @returns the calls that were carried out lately; undefined if they are not known. @throws an error of the client
     */
    async takeOver(): Promise<readonly SpentCall[] | undefined> {
      const calls = await store.takeOver();
      // What the former root has signed cannot be read any more once it is gone.
      if (roots.publicKeys.length > 1) await store.rewrite();
      await registry.load();
      return calls;
    },

    giveUp: () => store.giveUp(),

    /** Others hold this of a trust list: see `Store.attest`. */
    attest: store.attest,

    /** Reads what another controller has written. */
    async refresh(): Promise<void> {
      // The version first: what is written meanwhile is read again next time.
      const version = await store.version();
      if (version === seen) return;
      await registry.load();
      seen = version;
    },

    /** Looks whether somebody else has written. @throws an error of the client */
    async audit(): Promise<void> {
      if (!(await store.audit())) await registry.load();
    },

    /** The trust list, if there is anything new to say and it is certain. @throws an error of the client */
    publishTrust,

    /** To be called now and then while leading: what falls due with time, and is to be told. @throws an error of the store */
    async sweep(): Promise<void> {
      const isSure = () => leading() && settled() && store.doubt === undefined;
      await changed(await inTurn(async () => (isSure() ? registry.rotateDue() : [])));
    },

    /** Public keys of a service, for its endpoint list. */
    serviceKeys(service: string): readonly PublishedServiceKey[] | undefined {
      const epochs = registry.epochs(service);
      if (epochs === undefined) return undefined;
      const known = publicKeys.get(service);
      const same =
        known?.length === epochs.length &&
        known.every(({ epoch, fromMs }, at) => epoch === epochs[at]?.epoch && fromMs === epochs[at]?.fromMs);
      if (known !== undefined && same) return known;
      const made = epochs.map(({ epoch, fromMs, root }) =>
        publishedServiceKey(roots.of(root) as Root, mesh, service, epoch, fromMs),
      );
      if (publicKeys.size >= LIMITS.servicesKnownMax) publicKeys.clear();
      publicKeys.set(service, made);
      return made;
    },
  });
}
