/** An agent that is to let nobody in before it knows who may come: whoever keeps a snapshot back opens nothing with it. */
import test from 'ava';
import { createRoot } from '../../src/protocol/root.ts';
import { ask, startApplication, startMesh, until } from '../kit/mesh.ts';
import { sealed, snapshotOf, startPublisher } from '../kit/publisher.ts';

test('with authorization.default: deny nobody is let in before a signed snapshot is held', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const seen: string[] = [];
  const application = await startApplication(({ url = '' }, response) => {
    seen.push(url);
    response.end('ok');
  });
  t.teardown(application.stop);
  const workloads = [
    { service: 'orders.default', ports: [application.port] },
    { service: 'neighbour.default', calls: true },
  ];
  const back = await mesh.make('back', workloads, 0, undefined, 'deny');
  await back.agent.start();
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);

  for (const { door } of [front, back]) {
    const { status, headers, body } = await ask(door, 'orders', '/early');
    const problem = JSON.parse(body.toString());
    t.deepEqual([status, problem.code, headers['retry-after']], [503, 'policy_unknown', '1']);
    t.regex(problem.detail, /^orders\.default: .*signed snapshot/);
  }
  t.deepEqual(
    back.agent.waiting().filter((line) => line.includes('nobody is let in')),
    ['orders.default: no signed snapshot is held, so nobody is let in'],
  );

  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
  const snapshot = snapshotOf('orders.default', [1, 1]);
  const refused = async () =>
    await back.agent.registry.getSingleMetricAsString('weft_publications_refused_total');
  await publisher.put('snapshot', 'orders.default', sealed(createRoot().seed, 'snapshot', snapshot));
  await until(
    async () => /reason="signature"/.test(await refused()),
    'what a stranger has signed is refused',
  );
  t.is((await ask(front.door, 'orders', '/early')).status, 503);

  await publisher.publish('snapshot', snapshot);
  await until(async () => (await ask(front.door, 'orders', '/late')).status === 200, 'it is let in');
  t.false(back.agent.waiting().some((line) => line.includes('nobody is let in')));
  t.false(seen.includes('/early'));
});
