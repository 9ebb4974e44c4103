/** What agents do with what is published: real servers, a real bucket, and a controller that is the test. */
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { createRoot } from '../../../src/protocol/root.ts';
import { publicationGetSubject } from '../../../src/protocol/subjects.ts';
import { ask, MESH, startApplication, startMesh, type TestAgent, until } from '../../kit/mesh.ts';
import { sealed, snapshotOf, startPublisher } from '../../kit/publisher.ts';
import { tempFolder } from '../../kit/temp-folder.ts';

const ORDERS = 'orders.default';
const CHECKOUT = { service: 'checkout.default', calls: true };

async function start(t: ExecutionContext, heard = true) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed, heard);
  return { mesh, publisher };
}

/** Where a request to orders is redirected to; undefined if it is not. */
async function whereTo({ door }: TestAgent): Promise<string | undefined> {
  const { status, headers } = await ask(door, 'orders');
  return status === 302 ? new URL(headers.location ?? '').hostname : undefined;
}

async function refusals({ agent }: TestAgent): Promise<Record<string, number>> {
  const text = await agent.registry.getSingleMetricAsString('weft_publications_refused_total');
  const samples = text.matchAll(/\{kind="(\w+)",reason="(\w+)"\} (\d+)/g);
  return Object.fromEntries(
    [...samples].map(([, kind, reason, count]) => [`${kind} ${reason}`, Number(count)]),
  );
}

test('the first request to a service goes by the routes that are published already', async (t) => {
  const { mesh, publisher } = await start(t);
  await publisher.publish('snapshot', snapshotOf(ORDERS, [1, 1], 'one.example'));
  const front = await mesh.add('front', [CHECKOUT]);
  t.is(await whereTo(front), 'one.example');
  t.deepEqual(front.agent.publications(), { snapshot: { [ORDERS]: [1, 1] }, endpoints: {} });
});

test('a change is followed at once; what is no good changes nothing and is counted', async (t) => {
  const { mesh, publisher } = await start(t);
  const front = await mesh.add('front', [CHECKOUT]);
  t.is(await whereTo(front), undefined);
  await publisher.publish('snapshot', snapshotOf(ORDERS, [1, 5], 'five.example'));
  await until(async () => (await whereTo(front)) === 'five.example', 'routes come');

  const bad = snapshotOf(ORDERS, [1, 6], 'bad.example');
  await publisher.put('snapshot', ORDERS, sealed(createRoot().seed, 'snapshot', bad));
  await publisher.put('snapshot', ORDERS, sealed(mesh.seed, 'snapshot', snapshotOf('b.default', [1, 6])));
  await publisher.publish('snapshot', snapshotOf(ORDERS, [1, 4], 'old.example'));
  await publisher.put('snapshot', ORDERS, 'garbage');
  await publisher.put('snapshot', ORDERS, sealed(mesh.seed, 'snapshot', { ...bad, version: 2 }));
  await publisher.delete('snapshot', ORDERS);
  await until(async () => (await refusals(front))['snapshot deleted'], 'the last of them has arrived');
  t.deepEqual(await refusals(front), {
    'snapshot signature': 2,
    'snapshot service': 1,
    'snapshot revision': 1,
    'snapshot shape': 1,
    'snapshot deleted': 1,
  });
  t.is(await whereTo(front), 'five.example');

  await publisher.publish('snapshot', snapshotOf(ORDERS, [1, 6]));
  await until(async () => (await whereTo(front)) === undefined, 'a good one is taken');
});

test('an agent that starts while controller, bucket and bus are away routes by its disk', async (t) => {
  const { mesh, publisher } = await start(t);
  const data = await tempFolder(t);
  await publisher.publish('snapshot', snapshotOf(ORDERS, [1, 1], 'kept.example'));
  const before = await mesh.make('front', [CHECKOUT], 0, data);
  await before.agent.start();
  t.is(await whereTo(before), 'kept.example');
  await before.agent.stop();
  await mesh.nats.kill();

  const after = await mesh.make('front', [CHECKOUT], 0, data);
  void after.agent.start();
  await until(() => whereTo(after).then((host) => host === 'kept.example'), 'it routes by what it has');
  t.false(after.agent.ready);
});

test('what was not heard, because the bus was away, is there right after', async (t) => {
  const { mesh, publisher } = await start(t, false);
  await publisher.publish('snapshot', snapshotOf(ORDERS, [1, 1], 'one.example'));
  const front = await mesh.add('front', [CHECKOUT]);
  t.is(await whereTo(front), 'one.example');
  await publisher.publish('snapshot', snapshotOf(ORDERS, [1, 2], 'two.example'));
  t.is(await whereTo(front), 'one.example');
  await mesh.nats.kill();
  await mesh.nats.restart();
  await until(async () => (await whereTo(front)) === 'two.example', 'it has asked again');
});

test('services that nobody here calls or serves cost no message', async (t) => {
  const { mesh, publisher } = await start(t);
  const application = await startApplication((_request, response) => response.end('ok'));
  t.teardown(application.stop);
  const ear = await connect({ servers: mesh.nats.url });
  t.teardown(() => ear.close());
  const gets: string[] = [];
  ear.subscribe('$JS.API.DIRECT.GET.>', { callback: (_error, { subject }) => void gets.push(subject) });
  await ear.flush();
  for (let count = 0; count < 20; count++) {
    await publisher.publish('snapshot', snapshotOf(`unused${count}.default`, [1, 1], 'x.example'));
  }
  const front = await mesh.add('front', [CHECKOUT]);
  await mesh.add('back', [{ service: ORDERS, ports: [application.port] }]);
  t.is((await ask(front.door, 'orders')).status, 200);
  const expected = [
    publicationGetSubject(MESH, 'endpoints', ORDERS),
    publicationGetSubject(MESH, 'snapshot', ORDERS),
  ];
  // Both agents ask for both.
  await until(() => gets.length >= 4, 'all have asked');
  t.deepEqual([...new Set(gets)].sort(), expected);
  t.is(gets.length, 4);
  t.deepEqual(front.agent.publications(), { snapshot: {}, endpoints: {} });
});
