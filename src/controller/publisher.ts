/**
 * What the mesh's agents read: signed snapshots and endpoint lists in the config bucket.
 *
 * Invariants: W1 nothing is written that says the same as what is there; W2 the revision of a service's publication
 * grows with each write, also when the bucket was lost and made anew; W3 every write names the entry it replaces, and is put
 * in place of another one only if that is no newer one of a controller; W4 what somebody else has written is found by counting: of an untouched bucket the last sequence, and the number of entries, follow
 * from our own writes; W5 no revision is of a time to come, whenever the server says that the bucket was made: agents never
 * take what is older.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { KV } from '@nats-io/kv';
import type { Endpoint, EndpointList } from '../protocol/endpoint-list.ts';
import {
  compareRevisions,
  isHeadProof,
  isRevision,
  NO_REVISION,
  type Revision,
} from '../protocol/revision.ts';
import type { PublishedServiceKey } from '../protocol/service-key.ts';
import { openDocument, publicationType, signDocument } from '../protocol/signed-document.ts';
import { type Snapshot, saysDefaults } from '../protocol/snapshot.ts';
import { type PublicationKind, publicationKey } from '../protocol/subjects.ts';
import { TRUST_NAME, type TrustList } from '../protocol/trust-list.ts';
import { markOf, putOver, readAll } from './buckets.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
import type { Roots } from './roots.ts';

/** What is known of one key of the bucket. */
interface Published {
  readonly entry: number;
  readonly revision: Revision;
  /** Digest of the content without its revision. */
  readonly digest: string;
  /** Of an endpoint list. */
  readonly agents: ReadonlySet<string>;
  /** Of a snapshot: the change set that it follows from. */
  readonly policy: Revision;
  /** Of the trust list: see there. */
  readonly head: string;
  /** Of a snapshot: whether any resource has a part in it. */
  readonly telling: boolean;
}

export interface PublisherOptions {
  readonly bucket: KV;
  readonly mesh: string;
  readonly roots: Roots;
  readonly payloadBytesMax: () => number;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** Public keys of a service, for its endpoint list; undefined if it has none. */
  readonly serviceKeys: (service: string) => readonly PublishedServiceKey[] | undefined;
  /** Something was published: for metrics and logs. */
  readonly published: (kind: PublicationKind, service: string, revision: Revision) => void;
  /** An endpoint list was too long for one message, and lacks these many. */
  readonly cut: (service: string, endpoints: number) => void;
  /** Under this key stood what no controller had written last. */
  readonly tampered: (key: string) => void;
  /** A snapshot, or the trust list, is too long for one message: the one before stays. */
  readonly tooLong: (service: string, bytes: number) => void;
}

const OVERHEAD_BYTES = 1_024;
const NOTHING: Published = Object.freeze({
  entry: 0,
  revision: NO_REVISION,
  digest: '',
  agents: new Set<string>(),
  policy: NO_REVISION,
  head: '',
  telling: false,
});

const noServices = (): Record<PublicationKind, Set<string>> => ({
  snapshot: new Set(),
  endpoints: new Set(),
  trust: new Set(),
});

export type Publisher = ReturnType<typeof createPublisher>;

export function createPublisher(options: PublisherOptions) {
  const { bucket, mesh, roots, payloadBytesMax, wallMs } = options;
  let table = new Map<string, Published>();
  /** Names in `table` are keys; these are the services behind them. */
  let services: Record<PublicationKind, Set<string>> = noServices();
  let epoch = 0;
  /** Of the last write to the bucket: no number that was ever given in this epoch is above it. */
  let sequence = 0;
  /** What it would be if nobody but us had written since it was read (W4). */
  let expected = 0;
  let version = '';

  const at = (kind: PublicationKind, service: string) => table.get(publicationKey(kind, service)) ?? NOTHING;

  const write = async (
    kind: PublicationKind,
    service: string,
    document: string,
    made: Omit<Published, 'entry'>,
  ) => {
    const key = publicationKey(kind, service);
    const entry = await putOver(bucket, key, document, at(kind, service).entry, (found, conflict) => {
      const theirs = found?.operation === 'PUT' && readPublished(roots, kind, mesh, key, found.value);
      if (theirs && compareRevisions(theirs.published.revision, made.revision) >= 0) throw conflict;
      options.tampered(key);
      return undefined;
    });
    table.set(key, { ...made, entry });
    sequence = Math.max(sequence, entry);
    expected += 1;
    services[kind].add(service);
    options.published(kind, service, made.revision);
  };

  /** A bucket that was restored, or made anew by a clock that was behind, may look older than what it holds. W5 */
  const nextRevision = (before: Revision): Revision => {
    const nowMs = wallMs();
    const madeMs = epoch <= nowMs + CONTROLLER_LIMITS.bucketAheadMs ? epoch : nowMs;
    return before[0] > madeMs ? [before[0], before[1] + 1] : [madeMs, sequence + 1];
  };

  const read = async () => {
    const mark = await markOf(bucket);
    const found = new Map<string, Published>();
    const names = noServices();
    await readAll(bucket, ({ key, value, revision: entry, operation }) => {
      const kind = key.slice(0, key.indexOf('.')) as PublicationKind;
      if (!Object.hasOwn(names, kind)) return;
      const read = operation === 'PUT' ? readPublished(roots, kind, mesh, key, value) : undefined;
      if (read === undefined && found.size >= CONTROLLER_LIMITS.keysMax) return;
      found.set(key, { ...NOTHING, ...read?.published, entry });
      if (read !== undefined) names[kind].add(read.service);
    });
    return { mark, found, names };
  };

  return Object.freeze({
    /** Reads what is published. Call it before the first publication of a term of leading, and to look at it. */
    async load(): Promise<void> {
      const { mark, found, names } = await read();
      table = found;
      services = names;
      ({ epoch, sequence, version } = mark);
      expected = sequence;
    },

    /**
     * Looks whether somebody else has written; to be called while nothing is published, after `load`.
     * @returns the publications that are not as they were written last: publishing them writes them again.
     * @throws an error of the client
     */
    async audit(): Promise<Record<PublicationKind, string[]>> {
      const odd: Record<PublicationKind, string[]> = { snapshot: [], endpoints: [], trust: [] };
      const now = await markOf(bucket);
      if (now.epoch === epoch && now.sequence === expected && now.messages === table.size) return odd;
      const { mark, found, names } = await read();
      const same = mark.epoch === epoch;
      for (const kind of Object.keys(odd) as PublicationKind[]) {
        // One that nobody of us has published in this term was put back from an earlier time.
        for (const service of new Set([...services[kind], ...names[kind]])) {
          const key = publicationKey(kind, service);
          const known = at(kind, service);
          const { entry, revision } = found.get(key) ?? NOTHING;
          if (same && entry === known.entry) continue;
          odd[kind].push(service);
          services[kind].add(service);
          const newest = compareRevisions(revision, known.revision) > 0 ? revision : known.revision;
          // No digest: whatever follows for it is news.
          found.set(key, { ...known, entry, revision: newest, digest: '' });
        }
      }
      if (same) for (const [key, one] of table) if (found.get(key)?.entry === one.entry) found.set(key, one);
      table = found;
      ({ epoch, sequence } = mark);
      expected = sequence;
      return odd;
    },

    /** The newest change set that anything published follows from. */
    get policy(): Revision {
      let newest = NO_REVISION;
      for (const { policy } of table.values()) if (compareRevisions(policy, newest) > 0) newest = policy;
      return newest;
    },

    /** `head` of the trust list that is published; '' if none is. */
    get trustHead(): string {
      return at('trust', TRUST_NAME).head;
    },

    /** Like `load`, unless nothing was written since. For a controller that does not lead. */
    async refresh(): Promise<void> {
      if ((await markOf(bucket)).version !== version) await this.load();
    },

    /** Publishes what `make` gives for a revision, if it says anything new. @returns the revision if it was published */
    async snapshot(service: string, make: (revision: Revision) => Snapshot): Promise<Revision | undefined> {
      const before = at('snapshot', service);
      const revision = nextRevision(before.revision);
      const snapshot = make(revision);
      const telling = !saysDefaults(snapshot);
      const digest = digestOf(snapshot);
      if (digest === before.digest) return undefined;
      const document = signDocument(roots.signingKey, 'weft-snapshot', snapshot);
      if (document.length + OVERHEAD_BYTES > payloadBytesMax()) {
        options.tooLong(service, document.length);
        return undefined;
      }
      const { policy = NO_REVISION } = snapshot;
      await write('snapshot', service, document, { ...NOTHING, revision, digest, policy, telling });
      return revision;
    },

    /** Publishes what agents have to know about trust, if that is news. @returns the revision if it was published */
    async trust(make: (revision: Revision) => TrustList): Promise<Revision | undefined> {
      const before = at('trust', TRUST_NAME);
      const revision = nextRevision(before.revision);
      const list = make(revision);
      const digest = digestOf(list);
      if (digest === before.digest) return undefined;
      const isLong = (text: string) => text.length + OVERHEAD_BYTES > payloadBytesMax();
      let document = signDocument(roots.signingKey, 'weft-trust', list);
      // Whoever is cut off comes first; new keys can wait.
      if (isLong(document)) document = signDocument(roots.signingKey, 'weft-trust', { ...list, renew: [] });
      if (isLong(document)) {
        options.tooLong(TRUST_NAME, document.length);
        return undefined;
      }
      await write('trust', TRUST_NAME, document, { ...NOTHING, revision, digest, head: list.head ?? '' });
      return revision;
    },

    /** Publishes who serves, if that is news. @returns the revision if it was published */
    async endpoints(service: string, all: readonly Endpoint[]): Promise<Revision | undefined> {
      const before = at('endpoints', service);
      if (before.entry === 0 && all.length === 0) return undefined;
      const revision = nextRevision(before.revision);
      let endpoints = all;
      const keys = options.serviceKeys(service);
      let list: EndpointList = {
        version: 1,
        mesh,
        service,
        revision,
        ...(keys === undefined ? {} : { keys }),
        endpoints,
      };
      let document = '';
      const digest = digestOf(list);
      if (digest === before.digest) return undefined;
      for (;;) {
        document = signDocument(roots.signingKey, 'weft-endpoints', list);
        const excess = document.length + OVERHEAD_BYTES - payloadBytesMax();
        if (excess <= 0 || endpoints.length === 0) break;
        const share = 1 - excess / document.length;
        endpoints = endpoints.slice(0, Math.floor(endpoints.length * share));
        list = { ...list, endpoints };
      }
      if (endpoints.length < all.length) options.cut(service, all.length - endpoints.length);
      const agents = new Set(all.map(({ agent }) => agent));
      await write('endpoints', service, document, { ...NOTHING, revision, digest, agents });
      return revision;
    },

    /** Agents of the list as it is published. */
    listed: (service: string): ReadonlySet<string> => at('endpoints', service).agents,

    /** Undefined if there is none. */
    revisionOf(service: string, kind: PublicationKind = 'snapshot'): Revision | undefined {
      const { revision } = at(kind, service);
      return compareRevisions(revision, NO_REVISION) > 0 ? revision : undefined;
    },

    /** Whether any resource has a part in the published snapshot. */
    tells: (service: string): boolean => at('snapshot', service).telling,

    services: (kind: PublicationKind): readonly string[] => [...services[kind]],

    /** The signed document as it lies in the bucket. */
    async document(kind: PublicationKind, service: string): Promise<string | null> {
      const entry = await bucket.get(publicationKey(kind, service));
      return entry?.operation === 'PUT' ? entry.string() : null;
    },
  });
}

/** How many bytes too long for one message the signed form of a snapshot is; 0 if it fits. */
export function snapshotExcess(snapshot: Snapshot, payloadBytesMax: number): number {
  const base64 = Math.ceil((Buffer.byteLength(JSON.stringify(snapshot)) * 4) / 3);
  return Math.max(0, base64 + OVERHEAD_BYTES - payloadBytesMax);
}

/** What we have signed ourselves. With another root than signs now, it is news whatever it says. */
function readPublished(roots: Roots, kind: PublicationKind, mesh: string, key: string, value: Uint8Array) {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
  try {
    const document = openDocument(roots.keys, publicationType(kind), text, text.length) as Partial<
      Snapshot & EndpointList & TrustList
    >;
    const { service, revision } = document;
    if (document.mesh !== mesh || typeof service !== 'string' || !isRevision(revision)) return undefined;
    if (publicationKey(kind, service) !== key) return undefined;
    const agents = new Set((document.endpoints ?? []).map(({ agent }) => agent));
    const telling = kind === 'snapshot' && !saysDefaults(document as Snapshot);
    const policy = isRevision(document.policy) ? document.policy : NO_REVISION;
    const head = kind === 'trust' && isHeadProof(document.head) ? document.head : '';
    const digest = isSigned(roots.presentKey, kind, text) ? digestOf(document) : '';
    return { service, published: { revision, digest, agents, policy, head, telling } };
  } catch {
    return undefined;
  }
}

function isSigned(key: KeyObject, kind: PublicationKind, text: string): boolean {
  try {
    openDocument(key, publicationType(kind), text, text.length);
    return true;
  } catch {
    return false;
  }
}

/**
 * Of what a publication says, whenever it was made; but what follows from no change set at all is something else than what
 * follows from one: agents let it take nothing back.
 */
function digestOf(document: object): string {
  const { policy: follows, head } = document as Partial<Snapshot & TrustList>;
  const policy = follows?.[1] === 0 ? 0 : 1;
  return createHash('sha256')
    .update(JSON.stringify({ ...document, revision: 0, policy, head: follows === undefined ? head : '' }))
    .digest('base64');
}
