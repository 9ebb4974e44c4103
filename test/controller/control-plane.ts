import { randomBytes } from 'node:crypto';
import type { NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import { pino } from 'pino';
import { isTimeout } from '../../src/controller/buckets.ts';
import { connectController } from '../../src/controller/connect.ts';
import { type Controller, type ControllerOptions, startController } from '../../src/controller/controller.ts';
import type { Timing } from '../../src/controller/limits.ts';
import type { ApiVerbs, Verb } from '../../src/protocol/api.ts';
import { type ApiAnswer, CHANGING_VERBS, signCall } from '../../src/protocol/api-call.ts';
import type { DefaultAction } from '../../src/protocol/authorization/authorization.ts';
import type { EndpointList } from '../../src/protocol/endpoint-list.ts';
import type { Heartbeat, WorkloadReport } from '../../src/protocol/heartbeat.ts';
import { verificationKey } from '../../src/protocol/identity.ts';
import { createRootKeyring } from '../../src/protocol/keyring.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { openDocument, publicationType, signingKey } from '../../src/protocol/signed-document.ts';
import type { Snapshot } from '../../src/protocol/snapshot.ts';
import {
  apiSubject,
  heartbeatSubject,
  type PublicationKind,
  publicationGetSubject,
} from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';

export const MESH = 'test';

/**
 * Short, so that agents' leases end within a test; but the leader trusts its lease for longer than a busy machine keeps a
 * process waiting. A test whose leader goes without a word may give a shorter one.
 */
export const FAST: Timing = {
  leaseRenewMs: 50,
  leaseMs: 6_000,
  leaseTrustMs: 5_000,
  agentLeaseMs: 1_500,
  sweepMs: 50,
  gatherMs: 5,
  keepMs: 20,
  auditMs: 100,
  replicasMs: 200,
};

/** An agent that only beats. */
export interface FakeAgent {
  readonly agent: string;
  /** Sends one heartbeat now, with these changes; the next ones repeat the last but for their number. */
  beat(change?: Partial<Heartbeat>): void;
  /** Beats by itself until `silent` is called or the test ends. */
  keepBeating(everyMs?: number): void;
  silent(): void;
  /** A signed heartbeat, not sent. */
  signed(change?: Partial<Heartbeat>): string;
}

export interface ControlPlane {
  readonly nats: TestNats;
  readonly seed: string;
  /** A client's connection. */
  readonly client: NatsConnection;
  /** One more controller, with a connection of its own; both end with the test. */
  add(
    timing?: Partial<Timing>,
    defaultAction?: DefaultAction,
  ): Promise<{ controller: Controller; connection: NatsConnection }>;
  /** Calls a verb as an operator does. `by`: a seed to sign with other than the root's. */
  call<V extends Verb>(
    verb: V,
    request: ApiVerbs[V]['request'],
    by?: string,
  ): Promise<ApiAnswer<ApiVerbs[V]['response']>>;
  /** Like `call`; asks again while nobody leads, and fails unless it is carried out then. */
  done<V extends Verb>(verb: V, request: ApiVerbs[V]['request']): Promise<ApiVerbs[V]['response']>;
  /** Sends a payload as it is. */
  raw(verb: string, payload: string | Uint8Array): Promise<ApiAnswer<unknown>>;
  sign(verb: string, request: unknown, by?: string): string;
  agent(name: string, services: readonly string[], allowed?: readonly string[]): FakeAgent;
  /** What is published, checked as agents do; undefined if nothing is. */
  snapshot(service: string): Promise<Snapshot | undefined>;
  endpoints(service: string): Promise<EndpointList | undefined>;
}

/** @param servers of a cluster, which end with the test; by default one server of its own */
export async function startControlPlane(
  t: ExecutionContext,
  servers?: readonly TestNats[],
): Promise<ControlPlane> {
  const [nats, ...others] = servers ?? [await startNats()];
  if (nats === undefined) throw new Error('a control plane needs a server');
  t.teardown(() => Promise.all([nats, ...others].map((server) => server.stop())));
  const { seed } = createRoot();
  const root = readRoot(seed);
  const client = await connect({ servers: nats.url, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  t.teardown(() => client.close());

  const sign = (verb: string, request: unknown, by = seed) =>
    signCall(signingKey(readRoot(by)), {
      verb,
      mesh: MESH,
      timeMs: Date.now(),
      nonce: randomBytes(16).toString('hex'),
      author: 'ada@desk',
      request,
    });
  const raw = async (verb: string, payload: string | Uint8Array) =>
    (await client.request(apiSubject(MESH, verb), payload, { timeout: 5_000 })).json<ApiAnswer<unknown>>();
  const call: ControlPlane['call'] = async (verb, request, by) => {
    const payload = CHANGING_VERBS.has(verb) ? sign(verb, request, by) : JSON.stringify(request);
    return (await raw(verb, payload)) as never;
  };
  const publication = async (kind: PublicationKind, service: string) => {
    const message = await client.request(publicationGetSubject(MESH, kind, service), '', { timeout: 5_000 });
    if (message.headers?.code === 404) return undefined;
    return openDocument(
      verificationKey(root.publicKey),
      publicationType(kind),
      message.string(),
      1024 * 1024,
    );
  };

  return {
    nats,
    seed,
    client,
    sign,
    raw,
    call,
    async add(timing = {}, defaultAction = 'allow') {
      const connection = await connectController({ servers: [nats.url] });
      t.teardown(() => connection.close());
      const heartbeats = await connectController({ servers: [nats.url] });
      t.teardown(() => heartbeats.close());
      const controller = await untilStarted({
        connection,
        heartbeats,
        mesh: MESH,
        root,
        id: randomBytes(8).toString('hex'),
        release: '0.0.0',
        log: pino({ level: process.env.WEFT_TEST_LOG ?? 'silent' }),
        timing: { ...FAST, ...timing },
        defaultAction,
      });
      // Before its connection is closed: what is set up last is torn down first.
      t.teardown(controller.stop);
      return { controller, connection };
    },
    async done(verb, request) {
      const answer = await until(async () => {
        const given = await call(verb, request);
        return (given.ok || given.error.code !== 'not_leading') && given;
      }, 'somebody leads');
      if (!answer.ok) throw new Error(`${verb}: ${JSON.stringify(answer.error)}`);
      return answer.response;
    },
    agent(name, services, allowed = services) {
      const keyring = createRootKeyring({
        rootSeed: seed,
        mesh: MESH,
        agent: name,
        workloads: allowed,
        now: Date.now,
      });
      let last: Heartbeat = {
        version: 1,
        mesh: MESH,
        agent: name,
        session: randomBytes(8).toString('hex'),
        sequence: 0,
        timeMs: Date.now(),
        release: '0.0.0',
        document: keyring.document,
        leaving: false,
        workloads: services.map((service) => ready(service)),
      };
      let timer: NodeJS.Timeout | undefined;
      const signed = (change: Partial<Heartbeat> = {}) => {
        last = { ...last, sequence: last.sequence + 1, timeMs: Date.now(), ...change };
        return keyring.sign('weft-heartbeat', last);
      };
      const beat = (change?: Partial<Heartbeat>) =>
        client.publish(heartbeatSubject(MESH, name), signed(change));
      const silent = () => clearInterval(timer);
      t.teardown(silent);
      return {
        agent: name,
        signed,
        beat,
        silent,
        keepBeating(everyMs = 50) {
          silent();
          beat();
          timer = setInterval(() => beat(), everyMs);
        },
      };
    },
    snapshot: async (service) => (await publication('snapshot', service)) as unknown as Snapshot | undefined,
    endpoints: async (service) =>
      (await publication('endpoints', service)) as unknown as EndpointList | undefined,
  };
}

export function ready(service: string): WorkloadReport {
  return { service, state: 'ready', reason: '', sinceMs: 1, labels: {} };
}

/** Tries again as `weft controller` does: on a busy machine JetStream may take longer for a bucket than a controller waits. */
async function untilStarted(options: ControllerOptions): Promise<Controller> {
  for (;;) {
    try {
      return await startController(options);
    } catch (error) {
      if (!isTimeout(error)) throw error;
    }
  }
}

/** A route of `service` (`orders.default`) to `backend`. */
export function route(name: string, service: string, backend: string, path = '/'): object {
  const [parent, namespace] = service.split('.');
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: parent }],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: path } }],
          backendRefs: [{ name: backend, port: 80 }],
        },
      ],
    },
  };
}
