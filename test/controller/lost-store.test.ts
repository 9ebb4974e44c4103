/** A policy store that was lost: nothing is taken back unasked, and nobody is left to believe that all is well. */
import test from 'ava';
import { openBuckets } from '../../src/controller/buckets.ts';
import { until } from '../kit/mesh.ts';
import { MESH, ready, route, startControlPlane } from './control-plane.ts';

/** All of JetStream is gone, the controller is another process; only the agent knows what held. */
async function startAfterLoss(t: Parameters<typeof startControlPlane>[0]) {
  const plane = await startControlPlane(t);
  const { controller: before } = await plane.add();
  await until(() => before.leading, 'it leads');
  const { snapshots } = await plane.done('apply', {
    resources: [route('orders', 'orders.default', 'a'), route('front', 'front.default', 'orders')],
  });
  const applied = Object.fromEntries(snapshots.map(({ service, revision }) => [service, revision]));
  const { head } = (await plane.snapshot('orders.default'))!;
  await before.stop();
  for (const bucket of Object.values(await openBuckets(plane.client, MESH))) await bucket.destroy();
  const { controller } = await plane.add();
  await until(() => controller.leading, 'the next one leads');
  const app = plane.agent('app-1', ['orders.default']);
  app.beat({ applied, heads: [head!] });
  app.keepBeating();
  await until(
    async () => (await plane.done('agents', {})).items[0]?.astray?.length === 2,
    'it is heard what the agent holds',
  );
  return { ...plane, app, applied, controller };
}

test('of a store that was lost check, explain and the list of agents say so, and nothing is published', async (t) => {
  const { applied, ...plane } = await startAfterLoss(t);
  const { checks } = await plane.done('check', {});
  const lineOf = (name: string) => checks.find((one) => one.name === name);
  t.is(lineOf('policy')?.result, 'failed');
  t.regex(lineOf('policy')?.message ?? '', /lost and made anew.* change set 1 of the one before/);
  t.regex(lineOf('policy')?.advice ?? '', /backup.*apply all resources again/);
  t.is(lineOf('agents current')?.result, 'failed');
  t.regex(lineOf('agents current')?.message ?? '', /app-1 \(front\.default, orders\.default\)/);
  const { snapshot, differing } = await plane.done('snapshot', { service: 'orders.default' });
  t.is(snapshot, null);
  t.deepEqual(differing, [{ agent: 'app-1', revision: applied['orders.default']! }]);
  plane.agent('app-2', ['new.default']).keepBeating();
  await until(() => plane.endpoints('new.default'), 'lists are published all the same');
  for (const service of ['orders.default', 'front.default', 'new.default'])
    t.is(await plane.snapshot(service), undefined);
});

test('when all buckets are lost while a controller runs, it writes again what it knows', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  for (const bucket of Object.values(await openBuckets(plane.client, MESH))) await bucket.destroy();
  await until(() => plane.snapshot('orders.default').catch(() => undefined), 'it is published again');
  t.is((await plane.done('get', {})).items.length, 1);
  const { items } = await plane.done('get', {});
  t.is(items[0]?.metadata.revision, 1, 'it is the change set that it was');
});

test('the first change to a store that was lost warns of what it takes back, and takes it back', async (t) => {
  const { applied, app, ...plane } = await startAfterLoss(t);
  const { warnings } = await plane.done('apply', { resources: [route('orders', 'orders.default', 'b')] });
  t.regex(warnings.join(), /lost and made anew.*taken back/);
  app.beat({ applied });
  const front = await until(() => plane.snapshot('front.default'), 'what the agent holds is taken back');
  t.deepEqual(front.producer.rules, []);
  t.is((await plane.snapshot('orders.default'))?.producer.rules.length, 1);
  const again = await plane.done('apply', { resources: [route('users', 'users.default', 'b')] });
  t.false(again.warnings.some((warning) => warning.includes('lost')));
  await until(async () => {
    const { checks } = await plane.done('check', {});
    return checks.find(({ name }) => name === 'policy')?.result === 'ok';
  }, 'check is content');
});

test('whoever serves has a snapshot, also without any policy, and one more when the first change is made', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  plane.agent('app-1', ['orders.default']).keepBeating();
  const empty = await until(() => plane.snapshot('orders.default'), 'it is published');
  t.deepEqual([empty.producer.rules, empty.consumers, empty.policy?.[1]], [[], {}, 0]);
  await plane.done('apply', { resources: [route('users', 'users.default', 'b')] });
  await until(
    async () => (await plane.snapshot('orders.default'))?.policy?.[1] === 1,
    'it says that it follows from a change set',
  );
  plane.agent('app-2', []).beat({ workloads: [ready('late.default')] });
  t.is(await plane.snapshot('late.default'), undefined, 'a service that it may not serve has none');
});
