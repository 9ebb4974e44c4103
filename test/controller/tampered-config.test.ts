import test from 'ava';
import { type Buckets, openBuckets } from '../../src/controller/buckets.ts';
import { createPublisher } from '../../src/controller/publisher.ts';
import { createRoots } from '../../src/controller/roots.ts';
import { compareRevisions } from '../../src/protocol/revision.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { TRUST_NAME } from '../../src/protocol/trust-list.ts';
import { until } from '../kit/mesh.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';

const SNAPSHOT = 'snapshot.default.orders';
const ENDPOINTS = 'endpoints.default.orders';

async function start(t: Parameters<typeof startControlPlane>[0]) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const { config } = await openBuckets(plane.client, MESH);
  plane.agent('app-1', ['orders.default']).keepBeating();
  await until(() => plane.endpoints('orders.default'), 'it is listed');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  const old: Record<string, string> = {
    [SNAPSHOT]: await textOf(config, SNAPSHOT),
    [ENDPOINTS]: await textOf(config, ENDPOINTS),
  };
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'b')] });
  plane.agent('app-2', ['orders.default']).keepBeating();
  await until(
    async () => (await plane.endpoints('orders.default'))?.endpoints.length === 2,
    'both are listed',
  );
  return { ...plane, controller, config, old };
}

const textOf = async (bucket: Buckets['config'], key: string) => (await bucket.get(key))?.string() ?? '';

for (const [what, tamper] of [
  ['deleted', (config, key) => config.delete(key)],
  ['purged', (config, key) => config.purge(key)],
  ['written over with garbage', (config, key) => config.put(key, 'x')],
  ['put back to an old one', (config, key, old) => config.put(key, old)],
] satisfies [string, (config: Buckets['config'], key: string, old: string) => Promise<unknown>][]) {
  test(`a snapshot and an endpoint list that are ${what} are published again, as something newer`, async (t) => {
    const { config, old, controller, ...plane } = await start(t);
    const before = {
      snapshot: await plane.snapshot('orders.default'),
      list: await plane.endpoints('orders.default'),
    };
    for (const key of [SNAPSHOT, ENDPOINTS]) await tamper(config, key, old[key]!);
    const snapshot = await until(async () => {
      const found = await plane.snapshot('orders.default').catch(() => undefined);
      return found?.producer.rules[0]?.backends[0]?.service === 'b.default' && found;
    }, 'the right snapshot is there again');
    const list = await until(async () => {
      const found = await plane.endpoints('orders.default').catch(() => undefined);
      return found?.endpoints.length === 2 && found;
    }, 'the right list is there again');
    t.true(compareRevisions(snapshot.revision, before.snapshot!.revision) > 0);
    t.true(compareRevisions(list.revision, before.list!.revision) > 0);
    t.true(controller.leading, 'and it has led all the time');
    const { checks } = await plane.done('check', {});
    t.is(checks.find(({ name }) => name === 'writers')?.result, 'failed');
  });
}

test('what the leader has not published is not looked at again and again', async (t) => {
  const { config, controller, ...plane } = await start(t);
  await config.put('snapshot.default.evil', 'x');
  await config.put('snapshot.default.moved', await textOf(config, SNAPSHOT));
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'c')] });
  t.is((await plane.snapshot('orders.default'))?.producer.rules[0]?.backends[0]?.service, 'c.default');
  t.true(controller.leading);
  const { items } = await plane.done('services', {});
  t.deepEqual(
    items.map(({ service }) => service),
    ['orders.default'],
  );
});

test('what somebody writes over a publication right before it changes does not end the term of the leader', async (t) => {
  const { config, old, controller, ...plane } = await start(t);
  for (const [at, text] of ['x', old[SNAPSHOT]!].entries()) {
    await config.put(SNAPSHOT, text);
    const backend = `c${at}`;
    await plane.done('apply', { resources: [route('orders', 'orders.default', backend)] });
    const snapshot = await plane.snapshot('orders.default');
    t.is(snapshot?.producer.rules[0]?.backends[0]?.service, `${backend}.default`);
  }
  const metrics = await controller.metrics.registry.metrics();
  t.regex(metrics, /weft_controller_failures_total 0/);
  t.regex(metrics, /weft_controller_tampered_total\{bucket="config"\} [2-9]/);
});

for (const created of ['9999-12-31T23:59:59Z', 'x']) {
  test(`W5: a server that says that the bucket was made at ${created} has no revision of a time to come signed`, async (t) => {
    const { client, seed } = await startControlPlane(t);
    const { config } = await openBuckets(client, MESH);
    const lying: typeof config = Object.create(config, {
      status: {
        async value() {
          const status = await config.status();
          return { ...status, streamInfo: { ...status.streamInfo, created } };
        },
      },
    });
    const roots = createRoots(readRoot(seed));
    const make = (bucket: typeof config) =>
      createPublisher({
        bucket,
        mesh: MESH,
        roots,
        payloadBytesMax: () => 1024 * 1024,
        wallMs: Date.now,
        serviceKeys: () => undefined,
        published() {},
        cut() {},
        tampered() {},
        tooLong() {},
      });
    const publish = async (publisher: ReturnType<typeof make>, agent: string) => {
      const revoked = [{ agent, beforeMs: 1 }];
      const named = { version: 1, mesh: MESH, service: TRUST_NAME } as const;
      const lists = { roots: roots.publicKeys, revoked, renew: [] };
      return (await publisher.trust((revision) => ({ ...named, revision, ...lists })))!;
    };
    const deceived = make(lying);
    await deceived.load();
    const revisions = [await publish(deceived, 'a'), await publish(deceived, 'b')];
    const honest = make(config);
    await honest.load();
    revisions.push(await publish(honest, 'c'));
    t.true(revisions.every(([madeMs]) => madeMs <= Date.now()));
    t.deepEqual(revisions.toSorted(compareRevisions), revisions, 'each is newer than the one before');
  });
}
