import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import test from 'ava';
import { openBuckets } from '../../src/controller/buckets.ts';
import type { Resource } from '../../src/controller/resources/resource.ts';
import { createSeal } from '../../src/controller/seal.ts';
import { createStore } from '../../src/controller/store.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { policyBucket, stateBucket } from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';

const BY = { author: 'ada@desk', nonce: '00', untilMs: 0, nowMs: 0 };
const payloadBytesMax = () => 1024 * 1024;

function keysOf(seed: string) {
  const root = readRoot(seed);
  const keys = { mesh: MESH, signingKey: signingKey(root), rootKeys: verificationKey(root.publicKey) };
  return { seal: createSeal(keys), wallMs: Date.now, tampered() {} };
}

function resource(name: string): Resource {
  const value = route(name, 'orders.default', 'a') as Resource;
  return { ...value, metadata: { ...value.metadata, creationTimestamp: '2026-01-01T00:00:00.000Z' } };
}

function creation(name: string) {
  const key = `httproute.default.${name}`;
  const record = { resource: resource(name), author: 'ada@desk', time: '', change: 'created' as const };
  return { key, record };
}

test('of two controllers one leads; when its process is gone, the other takes over', async (t) => {
  const plane = await startControlPlane(t);
  const one = await plane.add();
  const two = await plane.add();
  await until(() => one.controller.leading || two.controller.leading, 'one leads');
  t.false(one.controller.leading && two.controller.leading);
  const [leader, other] = one.controller.leading ? [one, two] : [two, one];
  await until(() => other.controller.ready, 'the other knows who leads');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  // Nothing is released: as if it had been killed.
  await leader.connection.close();
  t.false(leader.controller.leading);
  await until(() => other.controller.leading, 'the other leads');
  await plane.done('apply', { resources: [route('orders-2', 'orders.default', 'a', '/2')] });
  t.is((await plane.done('get', {})).items.length, 2);
});

test('a controller that stops hands over at once, without waiting for its lease', async (t) => {
  const plane = await startControlPlane(t);
  const { controller: one } = await plane.add({ leaseMs: 60_000, leaseTrustMs: 50_000 });
  await until(() => one.leading, 'it leads');
  const { controller: two } = await plane.add({ leaseMs: 60_000, leaseTrustMs: 50_000 });
  await one.stop();
  await until(() => two.leading, 'the other leads');
  t.is(one.state, 'stopped');
});

test('any controller answers what changes nothing, with what the leader has written', async (t) => {
  const plane = await startControlPlane(t);
  const { controller: one } = await plane.add();
  await until(() => one.leading, 'it leads');
  const { controller: two } = await plane.add();
  await until(() => two.ready, 'the other stands by');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  const answer = await two.api.answer('get', '', 'loopback');
  t.is(answer.ok ? (answer.response as { items: unknown[] }).items.length : answer.error.message, 1);
  const refused = await two.api.answer(
    'apply',
    plane.sign('apply', { resources: [route('b', 'b.default', 'a')] }),
    'bus',
  );
  t.is(refused.ok ? '' : refused.error.code, 'not_leading');
});

test('without NATS a controller does not lead, and leads again when NATS is back', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  await plane.nats.kill();
  await until(() => !controller.leading && !controller.ready, 'it notices');
  await plane.nats.restart();
  await until(() => controller.leading, 'it leads again');
  t.is((await until(async () => await plane.done('get', {}), 'it answers')).items.length, 1);
});

test('buckets that are lost while a controller runs are made anew, and it leads again', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  plane.agent('app-1', ['orders.default']).keepBeating();
  await until(() => plane.endpoints('orders.default'), 'it publishes');
  const { policy, config, state } = await openBuckets(plane.client, MESH);
  for (const bucket of [policy, config, state]) await bucket.destroy();
  await until(() => !controller.leading, 'it notices');
  await until(() => controller.leading, 'it leads again');
  t.is((await until(() => plane.endpoints('orders.default'), 'it publishes again')).endpoints.length, 1);
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
});

test('a leader that was overtaken writes nothing any more', async (t) => {
  const { client, seed } = await startControlPlane(t);
  const buckets = await openBuckets(client, MESH);
  const stale = createStore<Resource>({ ...buckets, payloadBytesMax, ...keysOf(seed) });
  const next = createStore<Resource>({ ...buckets, payloadBytesMax, ...keysOf(seed) });
  await stale.takeOver();
  await next.takeOver();
  await t.throwsAsync(stale.apply([creation('late')], BY), { message: /wrong last sequence/ });
  await next.apply([creation('mine')], BY);
  t.deepEqual([...(await next.list()).keys()], ['httproute.default.mine']);
});

test('what somebody else writes into the buckets is not policy: the last that was signed holds', async (t) => {
  const plane = await startControlPlane(t);
  const { policy, state } = await openBuckets(plane.client, MESH);
  const store = createStore<Resource>({ policy, state, payloadBytesMax, ...keysOf(plane.seed) });
  await store.takeOver();
  await store.apply([creation('kept'), creation('gone')], BY);
  const written = { resource: route('evil', 'orders.default', 'a'), author: '', time: '', change: 'created' };
  const moved = (await policy.get('httproute.default.kept'))?.string() ?? '';
  await policy.put('httproute.default.evil', JSON.stringify(written));
  await policy.put('httproute.default.moved', moved);
  await policy.put('httproute.default.kept', '{"resource":{"kind":"HTTPRoute"},"author":"","time":""}');
  await policy.delete('httproute.default.gone');
  await state.put('journal', JSON.stringify({ turn: 9, writes: [['k', creation('journalled')]], calls: [] }));

  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const { items } = await plane.done('get', {});
  t.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['gone', 'kept'],
  );
});

test('while it is not known which calls were carried out, because the journal was lost, none is taken', async (t) => {
  const plane = await startControlPlane(t);
  const { controller: first } = await plane.add();
  await until(() => first.leading, 'it leads');
  const call = plane.sign('apply', { resources: [route('orders', 'orders.default', 'a')] });
  await until(async () => (await plane.raw('apply', call)).ok, 'it is carried out');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'b')] });
  await first.stop();
  await (await openBuckets(plane.client, MESH)).state.purge('journal');
  const { controller: second } = await plane.add();
  await until(() => second.leading, 'the next one leads');
  const answer = await plane.raw('apply', call);
  t.is(answer.ok ? '' : answer.error.code, 'unavailable');
  t.regex(JSON.stringify(answer), /the journal was lost.* changes are taken from \d{4}-\d\d-\d\dT/);
  t.regex(JSON.stringify((await plane.done('get', {})).items), /"b"/);
});

test('a change set that was cut off in the middle is completed by the next leader', async (t) => {
  const plane = await startControlPlane(t);
  const buckets = await openBuckets(plane.client, MESH);
  let writes = 0;
  const dying: typeof buckets.policy = Object.create(buckets.policy, {
    put: {
      value: (...args: Parameters<typeof buckets.policy.put>) => {
        writes += 1;
        return writes > 1 ? Promise.reject(new Error('killed')) : buckets.policy.put(...args);
      },
    },
  });
  const store = createStore<Resource>({
    policy: dying,
    state: buckets.state,
    payloadBytesMax,
    ...keysOf(plane.seed),
  });
  await store.takeOver();
  await t.throwsAsync(store.apply([creation('one'), creation('two'), creation('three')], BY), {
    message: 'killed',
  });
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const { items } = await plane.done('get', {});
  t.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['one', 'three', 'two'],
  );
  await until(
    async () => (await plane.snapshot('orders.default'))?.producer.rules.length === 3,
    'and published',
  );
  const { entries } = await plane.done('history', { kind: 'HTTPRoute', namespace: 'default', name: 'one' });
  t.is(entries.length, 1, 'what was written already is not written again');
});

test('a change set too large for one message is refused before anything is written', async (t) => {
  const { client, seed } = await startControlPlane(t);
  const buckets = await openBuckets(client, MESH);
  const store = createStore<Resource>({ ...buckets, payloadBytesMax: () => 40_000, ...keysOf(seed) });
  await store.takeOver();
  const many = Array.from({ length: 20 }, (_, at) => creation(`route-${at}`));
  await t.throwsAsync(store.apply(many, BY), { message: /apply it in parts/ });
  await store.apply([creation('small')], BY);
  t.is((await store.list()).size, 1);
});

test('the buckets are made with history, direct reads and republishing', async (t) => {
  const { client } = await startControlPlane(t);
  const kvm = new Kvm(jetstream(client));
  // One that somebody has made by hand is brought into shape.
  await kvm.create(`weft-${MESH}-config`, { history: 1 });
  const { config } = await openBuckets(client, MESH);
  t.deepEqual((await config.status()).republish, {
    src: `$KV.weft-${MESH}-config.>`,
    dest: `weft.${MESH}.cfg.>`,
  });
  t.is((await (await kvm.open(policyBucket(MESH))).status()).history, 64);
  t.is((await (await kvm.open(stateBucket(MESH))).status()).history, 1);
});
