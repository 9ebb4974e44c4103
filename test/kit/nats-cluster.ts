import { setTimeout as wait } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { freePort } from './free-port.ts';
import { startNats, type TestNats } from './nats-server.ts';

const TRIES = 6;
/** For the first try; each gets as much more. */
const WHOLE_MS = 4_000;

/**
 * Servers that know each other, JetStream clustered; resolves when all take connections and JetStream counts on all: a stream
 * can have as many replicas as there are servers. Now and then a cluster whose first vote was split leaves a server out
 * for good (nats-server 2.10); then another one is started.
 */
export async function startNatsCluster(count = 3): Promise<readonly TestNats[]> {
  for (let tried = 1; tried <= TRIES; tried++) {
    const servers = await startServers(count);
    if (await isWhole(servers, tried * WHOLE_MS)) return servers;
    await Promise.all(servers.map((server) => server.stop()));
  }
  throw new Error(`of ${TRIES} clusters JetStream left out a server each time`);
}

async function startServers(count: number): Promise<readonly TestNats[]> {
  const routePorts = await Promise.all(Array.from({ length: count }, freePort));
  const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`);
  const others = (index: number) => routes.filter((_, at) => at !== index).join(',');
  return Promise.all(
    routes.map((route, index) =>
      startNats({
        args: ['-n', `n${index}`, '--cluster_name', 'weft', '--cluster', route, '--routes', others(index)],
      }),
    ),
  );
}

async function isWhole(servers: readonly TestNats[], withinMs: number): Promise<boolean> {
  const connection = await connect({ servers: servers[0]?.url ?? '' });
  // Before it has a leader JetStream does not answer at all.
  const { streams } = await jetstreamManager(connection, { timeout: 500, checkAPI: false });
  const giveUp = AbortSignal.timeout(withinMs);
  try {
    while (!giveUp.aborted) {
      try {
        await streams.add({ name: 'whole', subjects: ['whole'], num_replicas: servers.length });
        return await streams.delete('whole');
      } catch {
        await wait(20);
      }
    }
    return false;
  } finally {
    await connection.close();
  }
}
