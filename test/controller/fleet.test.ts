import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import test from 'ava';
import { openBuckets } from '../../src/controller/buckets.ts';
import { compareRevisions } from '../../src/protocol/revision.ts';
import {
  configBucket,
  heartbeatSubject,
  policyBucket,
  publicationSubject,
} from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { MESH, ready, route, startControlPlane } from './control-plane.ts';

async function startLeader(t: Parameters<typeof startControlPlane>[0]) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const states = async (service = 'orders.default') =>
    (await plane.endpoints(service))?.endpoints.map(({ agent, state }) => `${agent} ${state}`).join();
  return { ...plane, controller, states };
}

test('heartbeats make endpoint lists, with the state of each workload, told at once', async (t) => {
  const plane = await startLeader(t);
  const heard: string[] = [];
  plane.client.subscribe(publicationSubject(MESH, 'endpoints', 'orders.default'), {
    callback: (_error, message) => void heard.push(message.string()),
  });
  await plane.client.flush();
  const one = plane.agent('app-1', ['orders.default']);
  plane.agent('app-2', ['orders.default']).keepBeating();
  one.beat({ workloads: [{ ...ready('orders.default'), state: 'starting', reason: 'first look' }] });
  await until(async () => (await plane.states()) === 'app-1 starting,app-2 ready', 'both are listed');
  one.beat({ workloads: [{ ...ready('orders.default'), labels: { version: 'v2' } }] });
  const list = await until(async () => {
    const found = await plane.endpoints('orders.default');
    return found?.endpoints[0]?.state === 'ready' ? found : undefined;
  }, 'it is ready');
  t.deepEqual(list.endpoints[0]?.labels, { version: 'v2' });
  await until(() => heard.length >= 2, 'and heard of without asking');
  const { items } = await plane.done('endpoints', { service: 'orders.default' });
  t.deepEqual(
    items.map(({ host, state }) => [host, state]),
    [
      ['app-1', 'ready'],
      ['app-2', 'ready'],
    ],
  );
});

test('an agent that falls silent leaves the list when its lease ends, and one that says so at once', async (t) => {
  const plane = await startLeader(t);
  const [silent, leaving, stays] = ['a', 'b', 'c'].map((name) => plane.agent(name, ['orders.default']));
  for (const agent of [silent, leaving, stays]) agent!.keepBeating();
  await until(async () => (await plane.states()) === 'a ready,b ready,c ready', 'all are listed');
  silent!.silent();
  await until(async () => (await plane.states()) === 'b ready,c ready', 'the silent one is gone');
  leaving!.silent();
  leaving!.beat({ leaving: true });
  await until(async () => (await plane.states()) === 'c ready', 'the one that left is gone');
  const { items } = await plane.done('agents', {});
  t.deepEqual(
    items.map(({ agent, state }) => [agent, state]),
    [
      ['a', 'lost'],
      ['b', 'left'],
      ['c', 'connected'],
    ],
  );
  silent!.keepBeating();
  await until(async () => (await plane.states()) === 'a ready,c ready', 'it is back');
  stays!.silent();
});

test('nothing is published while nothing changes', async (t) => {
  const plane = await startLeader(t);
  plane.agent('app-1', ['orders.default']).keepBeating(20);
  await until(async () => (await plane.states()) === 'app-1 ready', 'it is listed');
  await until(() => plane.trust(), 'and all was heard for a whole lease');
  const kv = await new Kvm(jetstream(plane.client)).open(configBucket(MESH));
  const before = (await kv.status()).streamInfo.state.last_seq;
  const calls = await plane.controller.metrics.registry.getSingleMetricAsString(
    'weft_controller_heartbeats_total',
  );
  const taken = (text: string) => Number(/result="taken"\} (\d+)/.exec(text)?.[1]);
  await until(async () => {
    const now = await plane.controller.metrics.registry.getSingleMetricAsString(
      'weft_controller_heartbeats_total',
    );
    return taken(now) > taken(calls) + 20;
  }, 'twenty more beats');
  t.is((await kv.status()).streamInfo.state.last_seq, before);
});

test('a heartbeat that is old, of another agent, or about a service it may not serve changes nothing', async (t) => {
  const plane = await startLeader(t);
  const app = plane.agent('app-1', ['orders.default']);
  const old = app.signed();
  app.beat({ workloads: [{ ...ready('orders.default'), state: 'draining' }] });
  await until(async () => (await plane.states()) === 'app-1 draining', 'it is listed');
  plane.client.publish(heartbeatSubject(MESH, 'app-1'), old);
  plane.client.publish(heartbeatSubject(MESH, 'app-2'), app.signed());
  const thief = plane.agent('thief', ['orders.default'], ['other.default']);
  thief.beat();
  app.beat({ workloads: [ready('orders.default')] });
  await until(async () => (await plane.states()) === 'app-1 ready', 'the next one counts');
  t.deepEqual(
    (await plane.done('agents', {})).items.map(({ agent }) => agent),
    ['app-1'],
  );
});

test('the next leader takes nobody from a list before it has listened for a lease', async (t) => {
  const plane = await startLeader(t);
  const app = plane.agent('app-1', ['orders.default']);
  app.keepBeating();
  await until(async () => (await plane.states()) === 'app-1 ready', 'it is listed');
  await plane.controller.stop();
  app.silent();
  // Long enough for all that is asked below, on a busy machine too.
  const { controller: next } = await plane.add({ agentLeaseMs: 4_000 });
  await until(() => next.leading, 'the next one leads');
  const other = plane.agent('app-2', ['orders.default', 'new.default']);
  other.keepBeating();
  await until(async () => (await plane.states('new.default')) === 'app-2 ready', 'it publishes');
  t.is(await plane.states(), 'app-1 ready', 'this list would lose somebody');
  await until(async () => (await plane.states()) === 'app-2 ready', 'then it is sure');
});

test('services stay known over a restart, also of those that are down', async (t) => {
  const plane = await startLeader(t);
  const app = plane.agent('app-1', ['orders.default']);
  app.beat();
  await until(async () => (await plane.states()) === 'app-1 ready', 'it is known');
  await plane.done('apply', { resources: [route('front', 'front.default', 'orders')] });
  const before = await plane.snapshot('front.default');
  t.is(before?.producer.rules[0]?.backends[0]?.invalid, undefined);
  await plane.controller.stop();
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  await until(async () => (await plane.states()) === '', 'it has settled');
  t.deepEqual(await plane.snapshot('front.default'), before);
  t.true((await plane.done('services', {})).items.some(({ service }) => service === 'orders.default'));
});

test('a route is published anew when its backend becomes known', async (t) => {
  const plane = await startLeader(t);
  await plane.done('apply', { resources: [route('front', 'front.default', 'orders')] });
  t.is((await plane.snapshot('front.default'))?.producer.rules[0]?.backends[0]?.invalid, 'BackendNotFound');
  plane.agent('app-1', ['orders.default']).keepBeating();
  await until(
    async () =>
      (await plane.snapshot('front.default'))?.producer.rules[0]?.backends[0]?.invalid === undefined,
    'it is valid',
  );
  t.pass();
});

test('when the published configuration is lost it is published again, as something newer', async (t) => {
  const plane = await startLeader(t);
  await plane.done('apply', { resources: [route('front', 'front.default', 'orders')] });
  const before = await plane.snapshot('front.default');
  await plane.controller.stop();
  await (await new Kvm(jetstream(plane.client)).open(configBucket(MESH))).destroy();
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  const after = await until(() => plane.snapshot('front.default'), 'it is published');
  t.true(compareRevisions(after.revision, before!.revision) > 0);
  t.deepEqual({ ...after, revision: 0 }, { ...before, revision: 0 });
});

test('G2: when the resources are lost, routes that are published stay, and check says so', async (t) => {
  const plane = await startLeader(t);
  await plane.done('apply', { resources: [route('front', 'front.default', 'orders')] });
  const before = await plane.snapshot('front.default');
  await plane.controller.stop();
  await (await new Kvm(jetstream(plane.client)).open(policyBucket(MESH))).destroy();
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  plane.agent('app-1', ['orders.default']).keepBeating();
  await until(async () => (await plane.states()) === 'app-1 ready', 'it publishes');
  t.deepEqual(await plane.snapshot('front.default'), before);
  const { checks } = await plane.done('check', {});
  t.is(checks.find(({ name }) => name === 'policy')?.result, 'failed');
});

test('how many agents have applied a snapshot is known from what they report', async (t) => {
  const plane = await startLeader(t);
  const [one, two] = ['a', 'b'].map((name) => plane.agent(name, ['orders.default']));
  const { snapshots } = await plane.done('apply', { resources: [route('orders', 'orders.default', 'x')] });
  const { service, revision } = snapshots[0]!;
  one!.beat({ applied: { [service]: revision } });
  two!.beat({ applied: { [service]: [revision[0], 0] } });
  const counts = async () => {
    const [item] = (await plane.done('programmed', { snapshots })).items;
    return `${item?.applied} of ${item?.of}`;
  };
  await until(async () => (await counts()) === '1 of 2', 'one is behind');
  t.deepEqual((await plane.done('agents', { agent: 'b' })).items[0]?.behind, ['orders.default']);
  two!.beat({ applied: { [service]: revision } });
  await until(async () => (await counts()) === '2 of 2', 'all have it');
  const [item] = (await plane.done('get', {})).items;
  t.regex(JSON.stringify(item?.status), /"Programmed","status":"True"/);
});

test('G4: of the names that an agent invents a hundred have a snapshot, and of an old heartbeat none', async (t) => {
  const plane = await startLeader(t);
  const { config } = await openBuckets(plane.client, MESH);
  const invented = (from: number) =>
    Object.fromEntries(Array.from({ length: 80 }, (_, at) => [`x${from + at}.default`, [1, 1] as const]));
  const liar = plane.agent('liar', ['orders.default']);
  const old = liar.signed({ applied: { 'old.default': [1, 1] } });
  liar.beat({ applied: {} });
  const other = plane.agent('other', []);
  const published = (service: string) =>
    until(async () => {
      other.beat({ applied: { [service]: [1, 1] } });
      return plane.snapshot(service);
    }, `what another agent holds of ${service} is taken back`);
  await published('y.default');
  plane.client.publish(heartbeatSubject(MESH, 'liar'), old);
  for (const from of [0, 100, 200]) liar.beat({ applied: invented(from) });
  await published('z.default');
  const names: string[] = [];
  for await (const key of await config.keys('snapshot.default.>')) names.push(key.slice(17));
  t.is(names.filter((name) => name.startsWith('x')).length, 100);
  t.false(names.includes('old'));
});

test('a heartbeat that was recorded long ago brings nobody back', async (t) => {
  const plane = await startLeader(t);
  plane.agent('dead', ['orders.default']).beat({ timeMs: Date.now() - 3_600_000 });
  plane.agent('alive', ['orders.default']).keepBeating();
  await until(async () => (await plane.states()) === 'alive ready', 'the other one is listed');
  const { items } = await plane.done('agents', {});
  t.deepEqual(
    items.map(({ agent }) => agent),
    ['alive'],
  );
});

test('check says what is wrong and what to do', async (t) => {
  const plane = await startLeader(t);
  const app = plane.agent('app-1', ['orders.default']);
  const results = async () => {
    const { checks } = await plane.done('check', {});
    return Object.fromEntries(checks.map(({ name, result }) => [name, result]));
  };
  app.keepBeating();
  await until(async () => (await results())['agents connected'] === 'ok', 'it is connected');
  t.deepEqual(new Set(Object.values(await results())), new Set(['ok']));
  app.silent();
  app.beat({
    timeMs: Date.now() + 8_000,
    workloads: [{ ...ready('orders.default'), state: 'unhealthy', reason: '500' }],
  });
  const ill = await until(async () => {
    const found = await results();
    return found.workloads === 'failed' ? found : undefined;
  }, 'the workload is unhealthy');
  t.is(ill.clocks, 'failed');
  await until(async () => (await results())['agents connected'] === 'failed', 'it is lost');
});

test('two agents of one name are said so by check and in the list of agents, and one of them stays listed', async (t) => {
  const plane = await startLeader(t);
  const [one, two] = [0, 1].map(() => plane.agent('app-1', ['orders.default']));
  one!.keepBeating();
  await until(async () => (await plane.states()) === 'app-1 ready', 'it is listed');
  two!.keepBeating();
  const view = await until(async () => {
    const { items } = await plane.done('agents', {});
    return items[0]?.rivals !== undefined && items[0];
  }, 'they are noticed');
  t.is(view.rivals, 1);
  const { revision } = (await plane.endpoints('orders.default'))!;
  const { checks } = await plane.done('check', {});
  const check = checks.find(({ name }) => name === 'agent names');
  t.is(check?.result, 'failed');
  t.regex(check?.message ?? '', /app-1 \(2 agents\)/);
  one!.silent();
  await until(
    async () => (await plane.done('agents', {})).items[0]?.rivals === undefined,
    'one of them is left',
  );
  t.deepEqual((await plane.endpoints('orders.default'))?.revision, revision, 'no list was published anew');
});

test('an agent that wants a service of which nothing is published counts from its first snapshot on', async (t) => {
  const plane = await startLeader(t);
  const app = plane.agent('app-1', ['orders.default']);
  app.beat({ applied: { 'orders.default': [0, 0] } });
  app.keepBeating();
  await until(async () => (await plane.states()) === 'app-1 ready', 'it is known');
  t.deepEqual((await plane.done('agents', {})).items[0]?.applied, {}, 'it holds nothing');
  const { snapshots } = await plane.done('apply', { resources: [route('orders', 'orders.default', 'x')] });
  const [before] = (await plane.done('programmed', { snapshots })).items;
  t.deepEqual([before?.applied, before?.of], [0, 1]);
  app.beat({ applied: { 'orders.default': snapshots[0]!.revision } });
  await until(
    async () => (await plane.done('programmed', { snapshots })).items[0]?.applied === 1,
    'it has it',
  );
});
