import { once } from 'node:events';
import {
  createServer,
  type Server as HttpServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type RequestOptions,
  request,
} from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { pino } from 'pino';
import { type Agent, createAgent } from '../../src/agent/agent.ts';
import type { AgentConfig, HealthConfig, WorkloadConfig } from '../../src/agent/config.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { freePort } from './free-port.ts';
import { startNats, type TestNats } from './nats-server.ts';
import { createRootKeyring } from './root-keyring.ts';

/** One agent of a test mesh: `door` is the port of its first workload that calls. */
export interface TestAgent {
  readonly agent: Agent;
  readonly door: number;
}

export interface TestWorkload {
  /** `orders.default` */
  readonly service: string;
  /** Ports of its local instances; none for a workload that only calls. */
  readonly ports?: readonly number[];
  /** True for a workload that calls: it gets a door at a free port. */
  readonly calls?: boolean;
  readonly health?: HealthConfig;
}

export interface TestMesh {
  readonly nats: TestNats;
  readonly seed: string;
  /** Makes one more agent, not yet started; it is stopped with the mesh. */
  make(
    host: string,
    workloads: readonly TestWorkload[],
    drainMs?: number,
    data?: string,
    defaultAction?: AgentConfig['defaultAction'],
  ): Promise<TestAgent>;
  /** Starts one more agent; it is stopped with the mesh. */
  add(host: string, workloads: readonly TestWorkload[], drainMs?: number): Promise<TestAgent>;
  stop(): Promise<void>;
}

export const MESH = 'test';

/**
 * A real nats-server and real agents in this process, silent, with a root of their own. Of several servers
 * (a cluster) the first is the mesh's `nats`, and agents know them all.
 */
export async function startMesh(servers?: readonly TestNats[]): Promise<TestMesh> {
  const [nats, ...others] = servers ?? [await startNats()];
  if (nats === undefined) throw new Error('a mesh needs a server');
  const { seed } = createRoot();
  const agents: Agent[] = [];
  const make: TestMesh['make'] = async (host, workloads, drainMs = 5_000, data, defaultAction = 'allow') => {
    const resolved: WorkloadConfig[] = [];
    for (const { service, ports = [], calls = false, health } of workloads) {
      resolved.push({
        service,
        upstream: ports.map((port) => ({ host: '127.0.0.1', port })),
        listen: calls ? { host: '127.0.0.1', port: await freePort() } : undefined,
        uid: undefined,
        health,
        labels: {},
      });
    }
    const config: AgentConfig = {
      mesh: MESH,
      host,
      nats: { servers: [nats, ...others].map(({ url }) => url), creds: undefined },
      admin: { host: '127.0.0.1', port: 1 },
      listen: undefined,
      drainMs,
      data,
      defaultAction,
      workloads: resolved,
    };
    const keyring = createRootKeyring({
      rootSeed: seed,
      mesh: MESH,
      agent: host,
      workloads: workloads.map(({ service }) => service),
      now: Date.now,
    });
    const agent = createAgent({ config, keyring, log: pino({ level: 'silent' }) });
    agents.push(agent);
    const listen = resolved.find((one) => one.listen !== undefined)?.listen;
    return { agent, door: listen !== undefined && 'port' in listen ? listen.port : 0 };
  };
  return {
    nats,
    seed,
    make,
    async add(host, workloads, drainMs) {
      const made = await make(host, workloads, drainMs);
      await made.agent.start();
      return made;
    },
    async stop() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await Promise.all([nats, ...others].map((server) => server.stop()));
    },
  };
}

/** An application on node:http. */
export async function startApplication(
  listener: RequestListener,
): Promise<{ port: number; server: HttpServer; stop(): void }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    server,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** An application that speaks raw bytes: what it is sent, and what it says, is up to the test. */
export async function startRawApplication(
  onConnection: (socket: Socket) => void,
): Promise<{ port: number; stop(): void }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/**
 * Resolves with what `look` gives once that is neither undefined nor false; looks again every few milliseconds.
 * A `look` that throws has not seen it yet. Gives up with `what`, and what was thrown last, after a while.
 * `everyMs`: the pause between two looks; longer for those that start a process.
 */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
  everyMs = 5,
): Promise<T> {
  const giveUp = AbortSignal.timeout(30_000);
  let cause: unknown;
  while (!giveUp.aborted) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
    } catch (error) {
      cause = error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(`gave up waiting for: ${what}`, { cause });
}

/** Zero of everything that an agent counts as open, but for connections that may idle. */
export function quiet(agent: Agent): boolean {
  const { upstreamConnections, downstreamConnections, ...live } = agent.counts();
  return Object.values(live).every((count) => count === 0);
}

/** One request through a door with node:http (which, other than fetch, lets a Host be given). */
export async function ask(
  door: number,
  host: string,
  path = '/',
  options: RequestOptions = {},
  body: Buffer | string = '',
): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer; trailers: NodeJS.Dict<string> }> {
  const sent = request({
    host: '127.0.0.1',
    port: door,
    path,
    agent: false,
    ...options,
    headers: { host, ...options.headers },
  });
  sent.end(body);
  const [response] = await once(sent, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const { statusCode, headers, trailers } = response;
  return { status: statusCode, headers, body: Buffer.concat(chunks), trailers };
}
