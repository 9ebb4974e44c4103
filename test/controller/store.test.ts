/** The store by itself, on real buckets: what somebody else may do between any two of its steps. */
import { jetstreamManager } from '@nats-io/jetstream';
import test, { type ExecutionContext } from 'ava';
import { type Buckets, openBuckets } from '../../src/controller/buckets.ts';
import type { Resource } from '../../src/controller/resources/resource.ts';
import { createSeal } from '../../src/controller/seal.ts';
import { createStore } from '../../src/controller/store.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { policyBucket } from '../../src/protocol/subjects.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';

const BY = { author: 'ada@desk', nonce: '00', untilMs: 0, nowMs: 0 };

async function start(t: ExecutionContext) {
  const { client, seed } = await startControlPlane(t);
  const buckets = await openBuckets(client, MESH);
  const root = readRoot(seed);
  const seal = createSeal({
    mesh: MESH,
    signingKey: signingKey(root),
    rootKeys: verificationKey(root.publicKey),
  });
  const tampered: string[] = [];
  const store = (aheadMs = 0, changed: Partial<Buckets> = {}) =>
    createStore<Resource>({
      ...buckets,
      ...changed,
      seal,
      payloadBytesMax: () => 1024 * 1024,
      wallMs: () => Date.now() + aheadMs,
      tampered: (bucket, key) => tampered.push(`${bucket} ${key}`),
    });
  /** Takes the last message of a key out of its stream: no mark of it is left. */
  const remove = async (key: string) => {
    const { revision } = (await buckets.policy.get(key))!;
    await (await jetstreamManager(client)).streams.deleteMessage(`KV_${policyBucket(MESH)}`, revision);
  };
  return { buckets, seal, tampered, store, remove };
}

const keyOf = (name: string) => `httproute.default.${name}`;

function creation(name: string, backend = 'a') {
  const resource = route(name, 'orders.default', backend) as Resource;
  const record = { resource, author: 'ada@desk', time: '', change: 'created' as const };
  return { key: keyOf(name), record };
}

const namesOf = async (store: { list(): Promise<Map<string, unknown>> }) =>
  [...(await store.list()).keys()].map((key) => key.replace('httproute.default.', '')).sort();

test('a record that is taken out of the stream while others are written is noticed and written again', async (t) => {
  const { store, buckets, remove, tampered } = await start(t);
  const leader = store();
  await leader.takeOver();
  await leader.apply([creation('one')], BY);
  t.true(await leader.audit());
  await remove(keyOf('one'));
  await leader.apply([creation('two')], BY);
  await leader.audit();
  t.deepEqual(tampered, [`policy ${keyOf('one')}`]);
  t.is((await buckets.policy.get(keyOf('one')))?.operation, 'PUT');
  t.deepEqual(await namesOf(store()), ['one', 'two']);
});

test('a record lies where it says that it lies, also after somebody else has written', async (t) => {
  const { store, buckets, seal } = await start(t);
  const leader = store();
  await leader.takeOver();
  const placeOf = async (name: string) => {
    const entry = (await buckets.policy.get(keyOf(name)))!;
    const { place } = seal.open('weft-record', 'policy', entry) as { place: number };
    return [place, entry.revision];
  };
  for (const name of ['strange', 'stranger', 'one']) await buckets.policy.put(keyOf(name), 'x');
  await leader.apply([creation('one')], BY);
  await leader.apply([creation('two')], BY);
  const [place, revision] = await placeOf('two');
  t.is(place, revision);
});

test('after a journal of before was put back there are still no two leaders', async (t) => {
  const { store, buckets } = await start(t);
  const [first, second] = [store(), store()];
  await first.takeOver();
  await first.apply([creation('one')], BY);
  const old = (await buckets.state.get('journal'))!.string();
  for (const name of ['two', 'three', 'four']) await first.apply([creation(name)], BY);
  await buckets.state.put('journal', old);
  await second.takeOver();
  await second.apply([creation('five')], BY);
  await t.throwsAsync(first.apply([creation('six')], BY), { message: /wrong last sequence/ });
  t.deepEqual(await namesOf(store()), ['five', 'four', 'one', 'three', 'two']);
});

test('a controller that looked before there was anything, with a clock ahead, takes nothing away when it leads', async (t) => {
  const { store, tampered } = await start(t);
  const [early, leader] = [store(3_600_000), store()];
  t.deepEqual(await namesOf(early), []);
  await leader.takeOver();
  await leader.apply([creation('one')], BY);
  t.deepEqual(await namesOf(early), ['one']);
  await early.takeOver();
  t.deepEqual(await namesOf(early), ['one']);
  t.deepEqual(tampered, []);
});

test('a controller that failed to begin a chain follows the one that another has begun', async (t) => {
  const { store, buckets } = await start(t);
  const leader = store();
  let taken = false;
  const slow: Buckets['state'] = Object.create(buckets.state, {
    put: {
      async value(...args: Parameters<typeof buckets.state.put>) {
        if (!taken) {
          taken = true;
          await leader.takeOver();
          await leader.apply([creation('one')], BY);
        }
        return buckets.state.put(...args);
      },
    },
  });
  const late = store(3_600_000, { state: slow });
  await t.throwsAsync(late.takeOver());
  await late.takeOver();
  t.deepEqual(await namesOf(late), ['one']);
});

test('of any number of keys that no controller has written the leader takes away some at a time, in the end all', async (t) => {
  const { store, buckets } = await start(t);
  const leader = store();
  await leader.takeOver();
  await leader.apply([creation('one')], BY);
  const strange = Array.from({ length: 1_100 }, (_, at) => buckets.policy.put(keyOf(`strange-${at}`), 'x'));
  await Promise.all(strange);
  const left = async () => {
    let count = 0;
    for await (const _ of await buckets.policy.keys()) count += 1;
    return count - 1;
  };
  await leader.audit();
  t.is(await left(), 600);
  await leader.audit();
  await leader.audit();
  t.is(await left(), 0);
});

test('a store that was lost, journal and all, says so once others are known to have followed it', async (t) => {
  const { store, buckets } = await start(t);
  const before = store();
  await before.takeOver();
  await before.apply([creation('one')], BY);
  const { at } = before;
  for (const bucket of [buckets.policy, buckets.state])
    await bucket.purge(bucket === buckets.policy ? keyOf('one') : 'journal');
  const next = store();
  await next.takeOver();
  t.deepEqual([next.lost, next.doubt], [undefined, undefined]);
  next.witness(at);
  t.deepEqual([next.lost, next.doubt], [at, undefined]);
  await next.apply([creation('two')], BY);
  t.is(next.lost, undefined);
  t.true(next.at[0] > at[0]);
});

test('a journal that speaks of change sets of which nothing is left says that the store was lost', async (t) => {
  const { store, buckets } = await start(t);
  const before = store();
  await before.takeOver();
  await before.apply([creation('one')], BY);
  await buckets.policy.purge(keyOf('one'));
  const next = store();
  await next.takeOver();
  t.deepEqual(next.lost, before.at);
});
