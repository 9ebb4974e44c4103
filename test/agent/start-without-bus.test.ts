/** An agent that starts while NATS is away: what is on its host needs neither bus nor controller. */
import { readdir } from 'node:fs/promises';
import test from 'ava';
import { ask, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';
import { snapshotOf, startPublisher } from '../kit/publisher.ts';
import { tempFolder } from '../kit/temp-folder.ts';

const codeOf = ({ body }: { body: Buffer }) => JSON.parse(body.toString()).code;

const WORKLOADS = (port: number) => [
  { service: 'orders.shop', ports: [port] },
  { service: 'billing.shop', ports: [port] },
  { service: 'fresh.shop', ports: [port] },
  { service: 'checkout.default', calls: true },
];

test('applications of one host reach each other by what their agent kept on disk, before NATS is there', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const seen: string[] = [];
  const application = await startApplication(({ url = '' }, response) => {
    seen.push(url);
    response.end('ok');
  });
  t.teardown(application.stop);
  const data = await tempFolder(t);
  const { publish } = await startPublisher(t, mesh.nats.url, mesh.seed);
  await publish('snapshot', snapshotOf('orders.shop', [1, 1]));
  await publish('snapshot', Object.assign(snapshotOf('billing.shop', [1, 1]), { exposure: 'namespace' }));
  const before = await mesh.make('both', WORKLOADS(application.port), 0, data);
  await before.agent.start();
  t.is((await ask(before.door, 'orders.shop')).status, 200);
  t.is((await ask(before.door, 'billing.shop', '/refused')).status, 403);
  const kept = async () => (await readdir(data)).filter((name) => name.endsWith('.jws')).length === 2;
  await until(kept, 'both snapshots are on disk');
  await before.agent.stop();
  await mesh.nats.kill();

  const { agent, door } = await mesh.make('both', WORKLOADS(application.port), 0, data);
  const started = agent.start();
  await until(async () => (await ask(door, 'orders.shop', '/early')).status === 200, 'it is reached');
  t.is(agent.state, 'connecting');
  t.false(agent.ready);
  t.deepEqual(
    [(await ask(door, 'billing.shop', '/refused')).status, seen.includes('/refused')],
    [403, false],
    'what is kept of policy holds',
  );
  t.is(codeOf(await ask(door, 'fresh.shop', '/refused')), 'bus_down', 'nobody knows yet who may call it');
  t.is(codeOf(await ask(door, 'elsewhere')), 'bus_down');
  await until(() => quiet(agent), 'nothing is left');

  await mesh.nats.restart();
  await started;
  const far = await mesh.add('far', [{ service: 'caller.shop', calls: true }]);
  t.is((await ask(far.door, 'orders.shop')).status, 200);
  t.is((await ask(door, 'fresh.shop')).status, 200);
});

test('an agent that is told to drain before NATS was ever there ends', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const application = await startApplication((_, response) => response.end('ok'));
  t.teardown(application.stop);
  await mesh.nats.kill();
  const { agent, door } = await mesh.make('both', WORKLOADS(application.port));
  void agent.start();
  await until(() => agent.reason !== undefined, 'it has found out');
  t.is(codeOf(await ask(door, 'orders.shop')), 'bus_down');
  await agent.drain();
  t.is(agent.state, 'stopped');
  await t.throwsAsync(ask(door, 'orders.shop'), { code: 'ECONNREFUSED' });
});
