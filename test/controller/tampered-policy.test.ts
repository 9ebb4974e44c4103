import { jetstreamManager } from '@nats-io/jetstream';
import test from 'ava';
import { type Buckets, openBuckets } from '../../src/controller/buckets.ts';
import type { Resource } from '../../src/controller/resources/resource.ts';
import { createSeal } from '../../src/controller/seal.ts';
import { createStore } from '../../src/controller/store.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import { policyBucket } from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { type ControlPlane, MESH, route, startControlPlane } from './control-plane.ts';
import { enrol } from './host.ts';

const KEY = 'httproute.default.orders';

async function start(t: Parameters<typeof startControlPlane>[0]) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  return { ...plane, controller, buckets: await openBuckets(plane.client, MESH) };
}

/** All that a bucket holds, by key. */
async function textsOf(bucket: Buckets['policy']): Promise<[key: string, text: string][]> {
  const texts: [string, string][] = [];
  for await (const key of await bucket.keys()) texts.push([key, await textOf(bucket, key)]);
  return texts.sort();
}

const textOf = async (bucket: Buckets['policy'], key: string) => (await bucket.get(key))?.string() ?? '';

/** Whoever leads, the resources and what is published of them name this backend. */
async function backendOf(plane: ControlPlane): Promise<string | undefined> {
  const snapshot = await plane.snapshot('orders.default');
  return snapshot?.producer.rules[0]?.backends[0]?.service;
}

async function apply(plane: ControlPlane, backend: string): Promise<void> {
  await plane.done('apply', { resources: [route('orders', 'orders.default', backend)] });
}

async function checkOf(plane: ControlPlane, name: string) {
  const { checks } = await plane.done('check', {});
  return checks.find((one) => one.name === name);
}

async function specs(plane: ControlPlane): Promise<string> {
  return JSON.stringify((await plane.done('get', {})).items.map(({ spec }) => spec));
}

test('an old record that is put back while a controller leads is put right within moments, and check says so', async (t) => {
  const { buckets, controller, ...plane } = await start(t);
  await apply(plane, 'a');
  const old = await textOf(buckets.policy, KEY);
  await apply(plane, 'b');
  t.is((await checkOf(plane, 'writers'))?.result, 'ok');
  const put = await buckets.policy.put(KEY, old);
  await until(
    async () => ((await buckets.policy.get(KEY))?.revision ?? 0) > put,
    'the newest is there again',
  );
  await until(async () => (await checkOf(plane, 'writers'))?.result === 'failed', 'check says so');
  t.is(await backendOf(plane), 'b.default');
  t.regex(await specs(plane), /"b"/);
  t.regex(await controller.metrics.registry.metrics(), /weft_controller_tampered_total\{bucket="policy"\} 1/);
  const { entries } = await plane.done('history', {
    kind: 'HTTPRoute',
    namespace: 'default',
    name: 'orders',
  });
  t.is(entries.length, 2, 'what was put back is no change');
  await apply(plane, 'c');
  t.is(await backendOf(plane), 'c.default');
});

for (const [what, tamper] of [
  ['deleted', (policy) => policy.delete(KEY)],
  ['purged with its history', (policy) => policy.purge(KEY)],
  ['written over with garbage', (policy) => policy.put(KEY, 'x')],
] satisfies [string, (policy: Buckets['policy']) => Promise<unknown>][]) {
  test(`a record that is ${what} while a controller leads is there again within moments`, async (t) => {
    const { buckets, controller, ...plane } = await start(t);
    await apply(plane, 'a');
    await tamper(buckets.policy);
    await until(async () => (await textOf(buckets.policy, KEY)).length > 1, 'it is there again');
    await controller.stop();
    const { controller: next } = await plane.add();
    await until(() => next.leading, 'the next one leads');
    t.regex(await specs(plane), /"a"/);
    t.is((await checkOf(plane, 'policy'))?.result, 'ok');
  });
}

test('a key that no controller has written is taken away', async (t) => {
  const { buckets, ...plane } = await start(t);
  await apply(plane, 'a');
  await buckets.policy.put('httproute.default.evil', await textOf(buckets.policy, KEY));
  await until(
    async () => (await buckets.policy.get('httproute.default.evil'))?.operation === 'DEL',
    'it is gone',
  );
  t.is((await plane.done('get', {})).items.length, 1);
});

test('records of one bucket mean nothing in another one, under the keys that they have there', async (t) => {
  const { buckets, controller, ...plane } = await start(t);
  const { policy, identity } = buckets;
  await apply(plane, 'a');
  await enrol(plane, 'web-1', ['orders.default']);
  const before = [await textsOf(policy), await textsOf(identity)] as const;
  for (const [key, text] of before[1]) await policy.put(key, text);
  for (const [key, text] of before[0]) await identity.put(key, text);
  await until(async () => {
    const now = [await textsOf(policy), await textsOf(identity)];
    return JSON.stringify(now) === JSON.stringify(before);
  }, 'what was copied is gone again, and nothing else');
  t.is(await backendOf(plane), 'a.default');
  await controller.stop();
  for (const [key, text] of before[1]) await policy.put(key, text);
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  t.regex(await specs(plane), /"a"/);
  t.is((await checkOf(plane, 'policy'))?.result, 'ok');
  t.is((await plane.done('identities', {})).items[0]?.agent, 'web-1');
});

test('a journal that is put back stops no change', async (t) => {
  const { buckets, controller, ...plane } = await start(t);
  await apply(plane, 'a');
  const old = await textOf(buckets.state, 'journal');
  await apply(plane, 'b');
  await buckets.state.put('journal', old);
  await apply(plane, 'c');
  await buckets.state.delete('journal');
  await apply(plane, 'd');
  t.is(await backendOf(plane), 'd.default');
  t.true(controller.leading);
});

test('an old record that is put back while no controller runs is not taken for the newest', async (t) => {
  const { buckets, controller, ...plane } = await start(t);
  await apply(plane, 'a');
  const old = await textOf(buckets.policy, KEY);
  const journal = await textOf(buckets.state, 'journal');
  await apply(plane, 'b');
  await controller.stop();
  await buckets.policy.put(KEY, old);
  await buckets.state.put('journal', journal);
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  t.regex(await specs(plane), /"b"/);
  t.not(await textOf(buckets.policy, KEY), old, 'it was put right');
  t.is((await checkOf(plane, 'writers'))?.result, 'failed');
  t.is((await checkOf(plane, 'policy'))?.result, 'ok');
});

test('a journal of before, with a change set that was on its way, brings nothing back', async (t) => {
  const plane = await startControlPlane(t);
  const { policy, state } = await openBuckets(plane.client, MESH);
  const root = readRoot(plane.seed);
  const keys = { mesh: MESH, signingKey: signingKey(root), rootKeys: verificationKey(root.publicKey) };
  let journal = '';
  const watching: typeof state = Object.create(state, {
    put: {
      value(...args: Parameters<typeof state.put>) {
        if (journal === '' && String(args[1]).length > 2_000) journal = String(args[1]);
        return state.put(...args);
      },
    },
  });
  const common = {
    policy,
    seal: createSeal(keys),
    payloadBytesMax: () => 1024 * 1024,
    wallMs: Date.now,
    tampered() {},
  };
  const store = createStore<Resource>({ ...common, state: watching });
  await store.takeOver();
  const write = (backend: string) => {
    const value = {
      ...route('orders', 'orders.default', backend),
      padding: 'x'.repeat(2_000),
    } as never as Resource;
    const record = { resource: value, author: 'ada', time: '', change: 'created' as const };
    return store.apply([{ key: KEY, record }], { nonce: '00', untilMs: 0, nowMs: 0 });
  };
  await write('a');
  await write('b');
  await state.put('journal', journal);
  const next = createStore<Resource>({ ...common, state });
  await next.takeOver();
  t.regex(JSON.stringify([...(await next.list()).values()]), /"name":"b"/);
  t.is(next.doubt, undefined);
});

/** The newest records are gone for good, history and all; the journal says that there should be more. */
async function startDoubtful(t: Parameters<typeof startControlPlane>[0]) {
  const { buckets, controller, ...plane } = await start(t);
  await plane.done('apply', { resources: [route('other', 'other.default', 'x')] });
  await apply(plane, 'a');
  const old = await textOf(buckets.policy, KEY);
  await apply(plane, 'b');
  const published = await plane.snapshot('orders.default');
  await controller.stop();
  await buckets.policy.purge(KEY);
  await buckets.policy.put(KEY, old);
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  return { ...plane, buckets, published, controller: next };
}

test('of a store whose newest records are gone nothing is published and nothing is changed; check says what to do', async (t) => {
  const { published, ...plane } = await startDoubtful(t);
  plane.agent('app-1', ['orders.default']).beat();
  await until(
    async () => (await plane.done('agents', {})).items[0]?.state === 'lost',
    'all was heard for a whole lease',
  );
  const check = await checkOf(plane, 'policy');
  t.is(check?.result, 'failed');
  t.regex(check?.advice ?? '', /backup.*apply/);
  t.deepEqual(await plane.snapshot('orders.default'), published);
  const answer = await plane.call('apply', { resources: [route('orders', 'orders.default', 'c')] });
  t.is(answer.ok ? '' : answer.error.code, 'unavailable');
});

test('a store in doubt is begun anew by deleting its bucket, while a controller runs', async (t) => {
  const { buckets, published, ...plane } = await startDoubtful(t);
  await buckets.policy.destroy();
  await until(async () => {
    const answer = await plane.call('apply', { resources: [route('orders', 'orders.default', 'c')] });
    return answer.ok;
  }, 'it takes changes again');
  t.is(await backendOf(plane), 'c.default');
  t.is((await checkOf(plane, 'policy'))?.result, 'ok');
});

test('a store that was set back whole is known by what agents report, and nothing of it is published', async (t) => {
  const { buckets, controller, ...plane } = await start(t);
  await apply(plane, 'a');
  const journal = await textOf(buckets.state, 'journal');
  const { sequence } = { sequence: (await buckets.policy.get(KEY))?.revision ?? 0 };
  await apply(plane, 'b');
  const head = (await plane.snapshot('orders.default'))!.head!;
  await controller.stop();
  const manager = await jetstreamManager(plane.client);
  await manager.streams.deleteMessage(`KV_${policyBucket(MESH)}`, (await buckets.policy.get(KEY))!.revision);
  t.is((await buckets.policy.get(KEY))?.revision, sequence);
  await buckets.state.put('journal', journal);
  await buckets.config.purge('snapshot.default.orders');
  plane.agent('app-1', ['orders.default']).keepBeating();
  const witness = plane.agent('app-2', ['orders.default']);
  // It says so before anybody leads, and again and again: only who is heard can be known from.
  witness.beat({ heads: [head] });
  witness.keepBeating();
  const { controller: next } = await plane.add({ agentLeaseMs: 1_500 });
  await until(() => next.leading, 'the next one leads');
  await until(async () => (await checkOf(plane, 'policy'))?.result === 'failed', 'it is known');
  witness.silent();
  await until(
    async () => (await plane.done('agents', { agent: 'app-2' })).items[0]?.state === 'lost',
    'all was heard for a whole lease',
  );
  t.is((await buckets.config.get('snapshot.default.orders'))?.operation, 'PURGE');
  t.regex((await checkOf(plane, 'policy'))?.message ?? '', /set back/);
  const answer = await plane.call('apply', { resources: [route('orders', 'orders.default', 'c')] });
  t.is(answer.ok ? '' : answer.error.code, 'unavailable');
});

test('of a store that was set back nobody can say so who has no proof that the root has signed', async (t) => {
  const plane = await start(t);
  await apply(plane, 'a');
  const other = readRoot(createRoot().seed);
  const forged = (by: typeof other, key: string, at: unknown) =>
    signDocument(signingKey(by), 'weft-head', { mesh: MESH, key, content: at });
  const liar = plane.agent('app-1', ['orders.default']);
  const later = [Date.now() + 1_000_000_000, 7];
  liar.beat({ heads: [forged(other, 'policy/head', later), forged(other, 'identity/head', later)] });
  liar.beat({ heads: [forged(readRoot(plane.seed), 'other/head', later), 'x'] });
  await until(() => plane.endpoints('orders.default'), 'it was heard');
  await apply(plane, 'b');
  t.is(await backendOf(plane), 'b.default');
  t.is((await checkOf(plane, 'policy'))?.result, 'ok');
  t.not((await checkOf(plane, 'enrolment'))?.result, 'failed');
});

test('what is published shows a store that was set back, before any agent is heard', async (t) => {
  const { buckets, controller, ...plane } = await start(t);
  await apply(plane, 'a');
  const journal = await textOf(buckets.state, 'journal');
  await apply(plane, 'b');
  await controller.stop();
  const manager = await jetstreamManager(plane.client);
  await manager.streams.deleteMessage(`KV_${policyBucket(MESH)}`, (await buckets.policy.get(KEY))!.revision);
  await buckets.state.put('journal', journal);
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  t.is((await checkOf(plane, 'policy'))?.result, 'failed');
  t.is(await backendOf(plane), 'b.default');
});

test('what was kept of the fleet is believed only if a controller has written it', async (t) => {
  const { buckets, controller, ...plane } = await start(t);
  await controller.stop();
  const agents = [
    { agent: 'evil', state: 'left', sinceMs: Date.now(), session: 'x', sequence: 1, timeMs: 1, release: '' },
  ];
  await buckets.state.put('fleet', JSON.stringify({ agents, services: [['evil.default', Date.now()]] }));
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  t.deepEqual((await plane.done('agents', {})).items, []);
  t.deepEqual((await plane.done('services', {})).items, []);
});
