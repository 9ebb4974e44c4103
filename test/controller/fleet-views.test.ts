/** What the controller tells of the fleet, beside who is ready. */
import test from 'ava';
import { until } from '../kit/mesh.ts';
import { ready, route, startControlPlane } from './control-plane.ts';

async function startLeader(t: Parameters<typeof startControlPlane>[0]) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const states = async () =>
    (await plane.endpoints('orders.default'))?.endpoints
      .map(({ agent, state }) => `${agent} ${state}`)
      .join();
  return { ...plane, controller, states };
}

test('a workload that only starts is a warning of check, with its reason', async (t) => {
  const plane = await startLeader(t);
  const app = plane.agent('app-1', ['orders.default']);
  app.beat({ workloads: [{ ...ready('orders.default'), state: 'starting', reason: 'connection refused' }] });
  app.keepBeating();
  const check = await until(async () => {
    const { checks } = await plane.done('check', {});
    return checks.find(({ name, result }) => name === 'workloads' && result !== 'ok');
  }, 'it is said');
  t.is(check.result, 'warning');
  t.regex(check.message, /orders\.default on app-1 is starting \(connection refused\)/);
});

test('endpoints of an agent that fell silent are listed as lost and published to nobody; those of one that left are not', async (t) => {
  const plane = await startLeader(t);
  const [silent, left] = ['a', 'b'].map((name) => plane.agent(name, ['orders.default']));
  for (const agent of [silent, left]) agent!.beat();
  await until(async () => (await plane.states()) === 'a ready,b ready', 'both are listed');
  left!.beat({ leaving: true });
  await until(async () => (await plane.states()) === '', 'both are gone');
  const { items } = await plane.done('endpoints', { service: 'orders.default' });
  t.deepEqual(
    items.map(({ host, state }) => [host, state]),
    [['a', 'lost']],
  );
  t.regex(items[0]?.reason ?? '', /^agent a has not been heard for \d+ s$/);
  const [service] = (await plane.done('services', {})).items;
  t.deepEqual([service?.ready, service?.endpoints], [0, 0]);
});

test('a service that nobody serves, declares or has routes for leaves the list of services', async (t) => {
  const plane = await startLeader(t);
  const names = async () => (await plane.done('services', {})).items.map(({ service }) => service).join();
  const declared = {
    apiVersion: 'weft.dev/v1',
    kind: 'Service',
    metadata: { name: 'orders', namespace: 'default' },
    spec: {},
  };
  await plane.done('apply', { resources: [declared] });
  const app = plane.agent('app-1', ['orders.default', 'users.default']);
  app.beat();
  await until(async () => (await names()) === 'orders.default,users.default', 'both are there');
  app.beat({ leaving: true });
  await until(async () => (await names()) === 'orders.default', 'one of them was never declared');
  await plane.done('delete', { names: [{ kind: 'Service', namespace: 'default', name: 'orders' }] });
  t.is(await names(), '');
  await plane.controller.stop();
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  t.is(await names(), '');
});

test('since when an agent is connected outlives the controller', async (t) => {
  const plane = await startLeader(t);
  plane.agent('app-1', ['orders.default']).keepBeating();
  const since = async () => (await plane.done('agents', {})).items[0]?.since;
  const first = await until(since, 'it is connected');
  await plane.controller.stop();
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  await until(async () => (await plane.states()) === 'app-1 ready', 'it is listed');
  t.is(await since(), first);
});

test('what an agent only calls for is told beside what it serves', async (t) => {
  const plane = await startLeader(t);
  plane.agent('app-1', ['orders.default'], ['orders.default', 'batch.default', 'web.shop']).beat();
  const [view] = await until(async () => {
    const { items } = await plane.done('agents', {});
    return items[0]?.state === 'connected' && items;
  }, 'it is connected');
  t.deepEqual(view?.callers, ['batch.default', 'web.shop']);
});

test('who waits for a snapshot and who fell silent is named, and who is lost is not counted', async (t) => {
  const plane = await startLeader(t);
  const [silent, slow] = ['a', 'b'].map((name) => plane.agent(name, ['orders.default']));
  silent!.beat();
  slow!.keepBeating();
  await until(async () => (await plane.states()) === 'b ready', 'one of them is lost');
  const { snapshots } = await plane.done('apply', { resources: [route('orders', 'orders.default', 'x')] });
  const progress = async () => (await plane.done('programmed', { snapshots })).items[0];
  t.like(await progress(), { applied: 0, of: 1, waiting: ['b'], lost: ['a'] });
  slow!.beat({ applied: { 'orders.default': snapshots[0]!.revision } });
  await until(async () => (await progress())?.applied === 1, 'it has it');
  t.deepEqual((await progress())?.lost, ['a']);
  silent!.beat({ leaving: true });
  await until(async () => (await progress())?.lost === undefined, 'the other one has said that it goes');
});
