/**
 * Identities of a mesh, put together: who is enrolled, what they are granted, and what all agents are told of it, while this
 * controller leads.
 */
import type { KV } from '@nats-io/kv';
import { LIMITS } from '../../protocol/limits.ts';
import type { Root } from '../../protocol/root.ts';
import { type PublishedServiceKey, publishedServiceKey } from '../../protocol/service-key.ts';
import { TRUST_NAME } from '../../protocol/trust-list.ts';
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
    journal: 'identities',
    seal,
    payloadBytesMax,
    wallMs,
    tampered: (bucket, key) => options.tampered(bucket === 'state' ? 'state' : 'identity', key),
  });
  const registry = createRegistry({ store, roots, timing, wallMs, committed: options.committed });
  const guard = createRenewalGuard(wallMs);
  const published = createSerial();
  /** Public keys are derived (0.3 ms each): for each service those of its epochs. */
  const publicKeys = new Map<string, readonly PublishedServiceKey[]>();

  const publishTrust = () =>
    published(async () => {
      if (!leading() || store.doubt !== undefined) return;
      const { revoked, renew } = registry.cutoffs();
      await options.publisher().trust((revision) => ({
        version: 1,
        mesh,
        service: TRUST_NAME,
        revision,
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

    /** Public NKeys of the roots that agents are told to trust; the first signs. */
    roots: roots.publicKeys,

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

    /** The trust list of the beginning of a term, or one that somebody has written over. */
    publishTrust,

    /** To be called now and then while leading: what falls due with time. @throws an error of the store */
    async sweep(): Promise<void> {
      await changed(await inTurn(async () => (leading() ? registry.rotateDue() : [])));
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
