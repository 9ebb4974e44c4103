import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from '../src/cli/nats-binary.ts';
import { startNatsServer } from '../src/cli/nats-server.ts';
import { giveIdentity } from '../test/kit/identity-file.ts';
import { publishEndpoints } from './endpoint-lists.ts';
import { freePort } from './ports.ts';
import type { Processes } from './processes.ts';
import type { Started } from './started-process.ts';

const WEFT = fileURLToPath(new URL('../src/cli/weft.ts', import.meta.url));
/** What bin/weft starts node with: its options and its environment. It execs, so the process stays the one started. */
const NODE = fileURLToPath(new URL('../scripts/node', import.meta.url));
const MESH = 'bench';
const START_MS = 15_000;
const POLL_MS = 50;

/** Two agents and their bus. The front one holds the door, the back one serves. */
export interface WeftPair {
  /** The door. Host names the service. */
  readonly port: number;
  readonly pids: Readonly<Record<string, number>>;
  readonly front: Started;
  readonly back: Started;
  /** Ends the agents and their bus. */
  stop(): Promise<void>;
}

/**
 * Starts a nats-server (with JetStream, as `weft up` would) and two agents; resolves when both are ready.
 * @param services port of the local application of each service that the back agent serves
 * @param nodeArgs arguments of node itself, by agent; for profiles
 * @param publish what is in the config bucket before the agents start
 */
export async function startWeftPair(
  processes: Processes,
  services: Readonly<Record<string, number>>,
  nodeArgs: (agent: string) => readonly string[] = () => [],
  publish?: (url: string, mesh: string, rootFile: string) => Promise<void>,
): Promise<WeftPair> {
  const folder = join(processes.folder, `weft-${await freePort()}`);
  await mkdir(folder);
  await processes.run(NODE, [WEFT, 'init', '--dir', folder, '--mesh', MESH], START_MS);
  const binary = await findNatsServer(process.env.PATH ?? '');
  const bus = await startNatsServer({ binary, port: 0, storeDir: join(folder, 'nats') });
  processes.onEnd(() => bus.stop());
  const rootFile = join(folder, 'root.nk');
  const rootSeed = await readFile(rootFile, 'utf8');
  const served = Object.keys(services).map((service) => `${service}.default`);
  await publishEndpoints(bus.url, MESH, rootSeed, served, undefined, 1);
  await publish?.(bus.url, MESH, rootFile);

  const port = await freePort();
  const startAgent = async (
    host: string,
    workloads: readonly { readonly service: string; readonly [field: string]: unknown }[],
  ) => {
    const admin = `127.0.0.1:${await freePort()}`;
    const file = join(folder, `${host}.json`);
    const data = join(folder, 'data', host);
    await giveIdentity(
      data,
      rootSeed,
      MESH,
      host,
      workloads.map(({ service }) => `${service}.default`),
    );
    // JSON is YAML: no writer needed.
    await writeFile(
      file,
      JSON.stringify({ mesh: MESH, host, nats: { servers: [bus.url] }, admin, data, workloads }),
    );
    const args = [...nodeArgs(host), WEFT, 'agent', '-f', file];
    const agent = processes.start(NODE, args, { WEFT_PARENT: 'stdin' });
    await untilReady(admin, agent);
    return agent;
  };
  const serving = Object.entries(services).map(([service, upstream]) => ({
    service,
    upstream: [`http://127.0.0.1:${upstream}`],
  }));
  const back = await startAgent('back', serving);
  await publishEndpoints(bus.url, MESH, rootSeed, served, 'back', 2);
  const front = await startAgent('front', [{ service: 'checkout', listen: `127.0.0.1:${port}` }]);
  const pids = { 'weft front': front.pid, 'weft back': back.pid, 'nats-server': bus.pid };
  const stop = async () => {
    await Promise.all([front.stop(), back.stop()]);
    await bus.stop();
  };
  return Object.freeze({ port, pids, front, back, stop });
}

async function untilReady(admin: string, agent: Started): Promise<void> {
  const until = performance.now() + START_MS;
  let last = 'no answer';
  while (performance.now() < until) {
    const answer = await fetch(`http://${admin}/readyz`).catch(() => undefined);
    if (answer?.status === 200) return;
    if (answer !== undefined) last = (await answer.text()).slice(0, 500);
    const failure = agent.failure();
    if (failure !== undefined) throw new Error(failure);
    await wait(POLL_MS);
  }
  throw new Error(`the agent at ${admin} is not ready after ${START_MS / 1000} s: ${last}`);
}
