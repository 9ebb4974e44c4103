/** What the controller does for agents, by hand: signed publications in a real bucket. */
import { type KV, Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import type { Endpoint } from '../../src/protocol/endpoint-list.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { type DocumentType, signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import type { Filter, RouteSet } from '../../src/protocol/snapshot.ts';
import {
  configBucket,
  type PublicationKind,
  publicationKey,
  publicationRepublish,
} from '../../src/protocol/subjects.ts';
import { MESH } from './mesh.ts';

export const TYPES: Readonly<Record<PublicationKind, DocumentType>> = {
  snapshot: 'weft-snapshot',
  endpoints: 'weft-endpoints',
  trust: 'weft-trust',
};

/** A document as the root of `seed` signs it. */
export function sealed(seed: string, kind: PublicationKind, payload: unknown): string {
  return signDocument(signingKey(readRoot(seed)), TYPES[kind], payload);
}

const NO_RULES: RouteSet = { rules: [], matches: [] };

/** A snapshot by which every request to the service is redirected to `hostname`; without one it has no routes. */
export function snapshotOf(service: string, revision: Revision, hostname?: string) {
  return {
    version: 1 as const,
    mesh: MESH,
    service,
    revision,
    producer: hostname === undefined ? NO_RULES : redirectTo(hostname),
    consumers: {},
  };
}

function redirectTo(hostname: string): RouteSet {
  const filter: Filter = { type: 'RequestRedirect', redirect: { hostname, status: 302 } };
  return {
    rules: [{ route: 'default/away', index: 0, filters: [filter], backends: [], timeouts: {} }],
    matches: [{ rule: 0, path: { type: 'PathPrefix', value: '/' }, headers: [], query: [] }],
  };
}

export function listOf(service: string, revision: Revision, endpoints: readonly Partial<Endpoint>[]) {
  const whole = endpoints.map((endpoint) => ({ labels: {}, state: 'ready', ...endpoint }));
  return { version: 1 as const, mesh: MESH, service, revision, endpoints: whole };
}

export interface Publisher {
  readonly kv: KV;
  /** Puts a text as it is. */
  put(kind: PublicationKind, service: string, text: string): Promise<void>;
  /** Signs and puts. */
  publish(
    kind: PublicationKind,
    payload: ReturnType<typeof snapshotOf> | ReturnType<typeof listOf>,
  ): Promise<void>;
  delete(kind: PublicationKind, service: string): Promise<void>;
}

/** `heard`: false for a bucket whose changes nobody hears of, as if every message was lost. */
export async function startPublisher(
  t: ExecutionContext,
  url: string,
  seed: string,
  heard = true,
): Promise<Publisher> {
  const connection = await connect({ servers: url });
  t.teardown(() => connection.close());
  const republish = heard ? { republish: publicationRepublish(MESH) } : {};
  const kv = await new Kvm(connection).create(configBucket(MESH), republish);
  const put: Publisher['put'] = async (kind, service, text) => {
    await kv.put(publicationKey(kind, service), text);
  };
  return {
    kv,
    put,
    publish: (kind, payload) => put(kind, payload.service, sealed(seed, kind, payload)),
    delete: (kind, service) => kv.delete(publicationKey(kind, service)),
  };
}
