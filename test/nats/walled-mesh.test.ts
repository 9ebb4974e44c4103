/** A real controller and real agents over a server with permissions: they miss nothing. */
import { randomBytes } from 'node:crypto';
import type { NatsConnection } from '@nats-io/nats-core';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { createAgent } from '../../src/agent/agent.ts';
import { connectController } from '../../src/controller/connect.ts';
import { startController } from '../../src/controller/controller.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { freePort } from '../kit/free-port.ts';
import { ask, startApplication, until } from '../kit/mesh.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';
import { AGENTS, type AgentName, MESH, startWalledNats, type WalledNats } from './walled-nats.ts';

const log = pino({ level: 'silent' });

async function addController(t: ExecutionContext, nats: WalledNats, seed: string) {
  const dial = async () => {
    const natsSeed = nats.keys.controller.seed;
    const connection = await connectController({ servers: [nats.url], natsSeed });
    t.teardown(() => connection.close());
    return connection;
  };
  const connections = [await dial(), await dial()];
  const [connection, heartbeats] = connections as [NatsConnection, NatsConnection];
  const controller = await startController({
    connection,
    heartbeats,
    mesh: MESH,
    root: readRoot(seed),
    id: randomBytes(8).toString('hex'),
    release: '0.0.0',
    log,
    defaultAction: 'allow',
  });
  t.teardown(controller.stop);
}

async function addAgent(
  t: ExecutionContext,
  nats: WalledNats,
  seed: string,
  host: AgentName,
  ports: readonly number[],
) {
  const door = await freePort();
  const workloads = AGENTS[host].map((service, index) => ({
    service,
    upstream: ports.map((port) => ({ host: '127.0.0.1', port })),
    listen: index === 0 ? { host: '127.0.0.1', port: door } : undefined,
    uid: undefined,
    health: undefined,
    labels: {},
  }));
  const agent = createAgent({
    config: {
      mesh: MESH,
      host,
      nats: { servers: [nats.url], creds: undefined },
      admin: { host: '127.0.0.1', port: 1 },
      listen: undefined,
      drainMs: 1_000,
      defaultAction: 'deny',
      data: undefined,
      workloads,
    },
    keyring: createRootKeyring({
      rootSeed: seed,
      mesh: MESH,
      agent: host,
      workloads: AGENTS[host],
      now: Date.now,
    }),
    natsSeed: () => nats.keys[host].seed,
    log,
  });
  t.teardown(() => agent.stop());
  await agent.start();
  return { agent, door };
}

test('requests cross the mesh, and the controller sees its agents, with the permissions of each role', async (t) => {
  const nats = await startWalledNats(t);
  const { seed } = createRoot();
  const application = await startApplication(
    (request, response) => void response.end(`hello ${request.url}`),
  );
  t.teardown(application.stop);
  await addController(t, nats, seed);
  await addAgent(t, nats, seed, 'app-1', [application.port]);
  const { agent, door } = await addAgent(t, nats, seed, 'web-1', []);
  const answer = await until(async () => {
    const given = await ask(door, 'orders', '/7');
    return given.status === 200 && given;
  }, 'orders answers');
  t.is(answer.body.toString(), 'hello /7');
  // What is published has crossed over too, so the balancer can name the endpoint.
  await until(
    () => JSON.stringify(agent.publications()).includes('orders.default'),
    'the endpoint list is there',
  );
  t.is((await ask(door, 'users.shop')).status, 200);
  t.deepEqual(nats.violations, []);
});
