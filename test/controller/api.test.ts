import { readFile } from 'node:fs/promises';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Ajv } from 'ajv';
import test from 'ava';
import type { ApiVerbs, Verb } from '../../src/protocol/api.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { apiSubject, heartbeatSubject, policyBucket } from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';
import { enrol, invite, joinOf } from './host.ts';

const ORDERS = { kind: 'HTTPRoute', namespace: 'default', name: 'orders' };

test('a route that is applied is stored, compiled, signed and published', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  plane.agent('app-1', ['orders.default', 'canary.default']).keepBeating();
  await until(async () => (await plane.endpoints('canary.default'))?.endpoints.length === 1, 'it is known');
  const { changes, snapshots } = await plane.done('apply', {
    resources: [route('orders', 'orders.default', 'canary')],
  });
  t.is(changes[0]?.action, 'created');
  const snapshot = await plane.snapshot('orders.default');
  t.deepEqual(snapshot?.revision, snapshots[0]?.revision);
  t.deepEqual(
    snapshot?.producer.rules[0]?.backends.map(({ service, invalid }) => [service, invalid]),
    [['canary.default', undefined]],
  );
  const { items } = await plane.done('get', { kind: 'HTTPRoute' });
  t.is(items[0]?.metadata.revision, changes[0]?.revision);
  t.truthy(items[0]?.metadata.creationTimestamp);
  const [again] = (await plane.done('apply', { resources: items })).changes;
  t.is(again?.action, 'unchanged', 'what is got can be applied again');
});

test('a dry run says what would change, and changes nothing', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const resources = [route('orders', 'orders.default', 'canary')];
  const { changes } = await plane.done('apply', { resources, dryRun: true });
  t.is(changes[0]?.action, 'created');
  t.deepEqual((await plane.done('get', {})).items, []);
  t.is(await plane.snapshot('orders.default'), undefined);
});

test('of a call with one bad resource nothing is applied, and all its faults are told', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const bad = { ...route('bad', 'orders.default', 'x'), spec: { rules: [], parentRef: 1 } };
  const good = route('good', 'orders.default', 'x');
  const answer = await plane.call('apply', { resources: [good, bad, good] });
  t.false(answer.ok);
  if (answer.ok) return;
  t.is(answer.error.code, 'invalid');
  t.deepEqual([...new Set(answer.error.faults?.map(({ resource }) => resource))], [1, 2]);
  t.deepEqual((await plane.done('get', {})).items, []);
});

test('what agents would refuse is refused when it is applied', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const bad = route('orders', 'orders.default', 'a') as { spec: { rules: object[] } };
  Object.assign(bad.spec.rules[0] as object, { retry: { attempts: 1_000_000 } });
  const answer = await plane.call('apply', { resources: [bad] });
  t.false(answer.ok);
  t.regex(answer.ok ? '' : JSON.stringify(answer.error), /invalid/);
  t.is(await plane.snapshot('orders.default'), undefined);
});

test('history names every revision with its author, and rollback brings one back', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const first = await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'b')] });
  await plane.done('delete', { names: [ORDERS] });
  t.is((await plane.snapshot('orders.default'))?.producer.rules.length, 0);
  const back = await plane.done('rollback', { ...ORDERS, to: first.changes[0]!.revision! });
  t.is(back.changes[0]?.action, 'created');
  const { entries } = await plane.done('history', ORDERS);
  t.deepEqual(
    entries.map(({ action, author }) => [action, author]),
    ['created', 'configured', 'deleted', 'created'].map((action) => [action, 'ada@desk (root)']),
  );
  t.deepEqual(entries[3]?.resource, entries[0]?.resource, 'with the time of its first revision');
  t.is((await plane.snapshot('orders.default'))?.producer.rules[0]?.backends[0]?.service, 'a.default');
  const none = await plane.call('rollback', { ...ORDERS, to: 4_000 });
  t.is(none.ok ? '' : none.error.code, 'not_found');
});

test('what is unsigned, signed by a stranger, sent twice or sent to another verb is denied', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const request = { resources: [route('orders', 'orders.default', 'a')] };
  const denied = async (verb: string, payload: string) => {
    const answer = await plane.raw(verb, payload);
    return answer.ok ? 'carried out' : answer.error.code;
  };
  t.is(await denied('apply', JSON.stringify(request)), 'denied');
  t.is(
    await denied('apply', plane.sign('apply', request, { key: signingKey(readRoot(createRoot().seed)) })),
    'denied',
  );
  const call = plane.sign('apply', request);
  t.is(await denied('delete', call), 'denied');
  t.true((await plane.raw('apply', call)).ok);
  t.is(await denied('apply', call), 'denied');
});

test('a call that was carried out is not carried out again by the next leader', async (t) => {
  const plane = await startControlPlane(t);
  const { controller: first } = await plane.add();
  await until(() => first.leading, 'it leads');
  const call = plane.sign('apply', { resources: [route('orders', 'orders.default', 'a')] });
  t.true((await plane.raw('apply', call)).ok);
  await first.stop();
  const { controller: second } = await plane.add();
  await until(() => second.leading, 'the other leads');
  const answer = await plane.raw('apply', call);
  t.is(answer.ok ? '' : answer.error.code, 'denied');
});

test('every answer is what the schema of its verb says', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  plane.agent('app-1', ['orders.default']).keepBeating();
  await until(() => plane.endpoints('orders.default'), 'it is known');
  const { changes, snapshots } = await plane.done('apply', {
    resources: [
      route('orders', 'orders.default', 'a'),
      { apiVersion: 'weft.dev/v1', kind: 'Service', metadata: { name: 'orders' }, spec: {} },
    ],
  });
  const sealTo = Buffer.alloc(32, 9).toString('base64url');
  const { message } = joinOf(await invite(plane, 'app-8', ['orders.default']), 'app-8');
  const host = await enrol(plane, 'app-9', ['orders.default']);
  const requests: { readonly [V in Verb]: ApiVerbs[V]['request'] } = {
    apply: { resources: [route('orders', 'orders.default', 'b')] },
    rollback: { ...ORDERS, to: changes[0]!.revision! },
    history: ORDERS,
    get: {},
    agents: {},
    endpoints: {},
    services: {},
    programmed: { snapshots },
    snapshot: { service: 'orders.default' },
    check: {},
    delete: { names: [ORDERS] },
    identities: {},
    token: { host: 'app-2', workloads: ['orders.default'], ttlMs: 60_000, sealTo },
    join: { message },
    renew: { message: host.renewalOf().message },
    rotate: { what: 'agent', agent: 'app-9' },
    revoke: { agent: 'app-9' },
    addOperator: { document: plane.operator('ada', 'viewer').document },
    operators: {},
    revokeOperator: { name: 'ada' },
    audit: {},
  };
  const schema = JSON.parse(
    await readFile(new URL('../../schemas/api.schema.json', import.meta.url), 'utf8'),
  );
  const ajv = new Ajv({ strictRequired: false, allowUnionTypes: true, schemas: [schema] });
  for (const [verb, request] of Object.entries(requests) as [Verb, never][]) {
    const validate = ajv.getSchema(`${schema.$id}#/$defs/${verb}Response`)!;
    const response = await plane.done(verb, request);
    t.true(validate(response), `${verb}: ${JSON.stringify(validate.errors)}`);
  }
});

test('nats service info lists every verb with its schemas', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const ask = async (subject: string) =>
    (await plane.client.request(subject, '', { timeout: 2_000 })).json<Record<string, unknown>>();
  const info = await ask('$SRV.INFO.weft');
  const endpoints = info.endpoints as { name: string; subject: string; metadata: Record<string, string> }[];
  t.is(info.type, 'io.nats.micro.v1.info_response');
  t.deepEqual(endpoints.map(({ name }) => name).sort(), [...controller.api.schema.verbs].sort());
  for (const { name, subject, metadata } of endpoints) {
    t.is(subject, apiSubject(MESH, name));
    t.is(JSON.parse(metadata.request_schema!).type, 'object');
    t.is(JSON.parse(metadata.response_schema!).type, 'object');
  }
  await plane.done('get', {});
  const stats = await ask(`$SRV.STATS.weft.${info.id}`);
  const get = (stats.endpoints as { name: string; num_requests: number }[]).find(
    ({ name }) => name === 'get',
  );
  t.is(get?.num_requests, 1);
  t.is((await ask('$SRV.PING')).name, 'weft');
});

test('garbage on every subject is survived', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const kv = await new Kvm(jetstream(plane.client)).open(policyBucket(MESH));
  const garbage = [
    '',
    'null',
    '[]',
    '{"a":',
    '\u0000\xff',
    '"x"',
    '{"kind":7,"name":{}}',
    'a.b.c',
    'x'.repeat(300_000),
  ];
  for (const text of garbage) {
    for (const verb of controller.api.schema.verbs) {
      const answer = await plane.raw(verb, text);
      if (!answer.ok) t.not(answer.error.code, 'internal', `${verb} ${text.slice(0, 20)}`);
    }
    plane.client.publish(heartbeatSubject(MESH, 'app-1'), text);
    plane.client.publish('$SRV.PING', text);
    plane.client.publish(apiSubject(MESH, 'apply'), text);
    plane.client.publish('weft.test.cfg.snapshot.default.orders', text);
  }
  await kv.put('httproute.default.rubbish', '{"resource":7}');
  await kv.put('httproute.default.rubbish-too', 'x');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  await controller.stop();
  const { controller: next } = await plane.add();
  await until(() => next.leading, 'the next one leads');
  t.is((await plane.done('get', {})).items.length, 1);
});
