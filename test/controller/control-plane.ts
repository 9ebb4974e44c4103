import { randomBytes } from 'node:crypto';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import { pino } from 'pino';
import type { CallSigner } from '../../src/cli/context.ts';
import { isTimeout } from '../../src/controller/buckets.ts';
import { connectController } from '../../src/controller/connect.ts';
import { type Controller, type ControllerOptions, startController } from '../../src/controller/controller.ts';
import type { Timing } from '../../src/controller/limits.ts';
import type { ApiVerbs, Verb } from '../../src/protocol/api.ts';
import { type ApiAnswer, type ApiCall, signCall } from '../../src/protocol/api-call.ts';
import type { DefaultAction } from '../../src/protocol/authorization/authorization.ts';
import type { EndpointList } from '../../src/protocol/endpoint-list.ts';
import { type Heartbeat, heartbeatText, type WorkloadReport } from '../../src/protocol/heartbeat.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import type { Operator, Role } from '../../src/protocol/operator.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { openDocument, publicationType, signingKey } from '../../src/protocol/signed-document.ts';
import type { Snapshot } from '../../src/protocol/snapshot.ts';
import {
  apiSubject,
  heartbeatSubject,
  type PublicationKind,
  publicationGetSubject,
} from '../../src/protocol/subjects.ts';
import { TRUST_NAME } from '../../src/protocol/trust-list.ts';
import { VERB_RIGHTS } from '../../src/protocol/verb-rights.ts';
import { until } from '../kit/mesh.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { operatorOf } from '../kit/operator.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';

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
  keyLeadMs: 400,
  keyLeadRevokedMs: 200,
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
    /** Seeds, if they are not the root's alone. */
    roots?: { readonly present: string; readonly other?: string },
  ): Promise<{ controller: Controller; connection: NatsConnection }>;
  /** Calls a verb as an operator does. `by`: who signs, if not the root. */
  call<V extends Verb>(
    verb: V,
    request: ApiVerbs[V]['request'],
    by?: CallSigner,
  ): Promise<ApiAnswer<ApiVerbs[V]['response']>>;
  /** Like `call`; asks again while nobody leads. */
  settled<V extends Verb>(
    verb: V,
    request: ApiVerbs[V]['request'],
    by?: CallSigner,
  ): Promise<ApiAnswer<ApiVerbs[V]['response']>>;
  /** The same, and fails unless it is carried out then. */
  done<V extends Verb>(
    verb: V,
    request: ApiVerbs[V]['request'],
    by?: CallSigner,
  ): Promise<ApiVerbs[V]['response']>;
  /** Sends a payload as it is. */
  raw(verb: string, payload: string | Uint8Array): Promise<ApiAnswer<unknown>>;
  sign(verb: string, request: unknown, by?: CallSigner, changes?: Partial<ApiCall>): string;
  /** Credentials that the root has made; with these changes of what it says. */
  operator(name: string, role: Role, changes?: Partial<Operator>): CallSigner & { readonly document: string };
  agent(name: string, services: readonly string[], allowed?: readonly string[]): FakeAgent;
  /** What is published, checked as agents do; undefined if nothing is. */
  snapshot(service: string): Promise<Snapshot | undefined>;
  endpoints(service: string): Promise<EndpointList | undefined>;
  /** The trust list as it is published, unread. */
  trust(): Promise<string | undefined>;
  /** What a bucket has under a key, and writing it as anybody with full rights can. */
  entry(bucket: 'identity' | 'policy' | 'config' | 'state', key: string): Promise<string>;
  write(bucket: 'identity' | 'policy' | 'config' | 'state', key: string, text: string): Promise<void>;
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

  const rootSigner: CallSigner = { key: signingKey(root) };
  const sign: ControlPlane['sign'] = (verb, request, by = rootSigner, changes = {}) => {
    const nonce = randomBytes(16).toString('hex');
    const call = { verb, mesh: MESH, timeMs: Date.now(), nonce, author: 'ada@desk', request, ...changes };
    return signCall(by.key, call, by.document);
  };
  const raw = (verb: string, payload: string | Uint8Array) =>
    // Nobody has it where nobody answers: who leads may not have said so to the bus yet.
    until(
      async () =>
        (await client.request(apiSubject(MESH, verb), payload, { timeout: 5_000 })).json<
          ApiAnswer<unknown>
        >(),
      `somebody answers ${verb}`,
    );
  const call: ControlPlane['call'] = async (verb, request, by) => {
    const isProof = ['host', 'agent'].includes(VERB_RIGHTS[verb]);
    const payload = isProof ? JSON.stringify(request) : sign(verb, request, by);
    return (await raw(verb, payload)) as never;
  };
  const settled: ControlPlane['settled'] = (verb, request, by) =>
    until(async () => {
      const given = await call(verb, request, by);
      return (given.ok || given.error.code !== 'not_leading') && given;
    }, 'somebody leads');
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
    operator: (name, role, changes) => operatorOf(rootSigner.key, MESH, name, role, changes),
    raw,
    call,
    async add(timing = {}, defaultAction = 'allow', roots = { present: seed }) {
      const connection = await connectController({ servers: [nats.url] });
      t.teardown(() => connection.close());
      const heartbeats = await connectController({ servers: [nats.url] });
      t.teardown(() => heartbeats.close());
      const controller = await untilStarted({
        connection,
        heartbeats,
        mesh: MESH,
        root: readRoot(roots.present),
        ...(roots.other === undefined ? {} : { otherRoot: readRoot(roots.other) }),
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
    settled,
    async done(verb, request, by) {
      const answer = await settled(verb, request, by);
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
        leaving: false,
        workloads: services.map((service) => ready(service)),
      };
      let timer: NodeJS.Timeout | undefined;
      const signed = (change: Partial<Heartbeat> = {}) => {
        last = { ...last, sequence: last.sequence + 1, timeMs: Date.now(), ...change };
        return heartbeatText(keyring.document, keyring.sign('weft-heartbeat', last));
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
    async trust() {
      const message = await client.request(publicationGetSubject(MESH, 'trust', TRUST_NAME), '', {
        timeout: 5_000,
      });
      return message.headers?.code === 404 ? undefined : message.string();
    },
    async entry(bucket, key) {
      const kv = await new Kvm(client).open(`weft-${MESH}-${bucket}`);
      return (await kv.get(key))?.string() ?? '';
    },
    async write(bucket, key, text) {
      const kv = await new Kvm(client).open(`weft-${MESH}-${bucket}`);
      await kv.put(key, text);
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
