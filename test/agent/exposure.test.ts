/** Exposure of services, over three agents and a real bus: one that serves, and one that calls from each of two namespaces. */
import test, { type ExecutionContext } from 'ava';
import type { Exposure } from '../../src/protocol/exposure.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { intrude } from '../kit/intruder.ts';
import { ask, startApplication, startMesh, type TestAgent, type TestMesh, until } from '../kit/mesh.ts';
import { sealed, snapshotOf, startPublisher } from '../kit/publisher.ts';
import { Ear } from '../link/pair.ts';

let mesh: TestMesh;
let inside: TestAgent;
let outside: TestAgent;
let back: TestAgent;
let port: number;
let stop: () => void;
/** Paths that the application has seen. */
const seen: string[] = [];
const SERVICES = ['a', 'b', 'c', 'd', 'e'].map((name) => `${name}.shop`);

test.before(async () => {
  mesh = await startMesh();
  ({ port, stop } = await startApplication(({ url = '' }, response) => {
    seen.push(url);
    response.end('hello');
  }));
  back = await mesh.add(
    'back',
    SERVICES.map((service) => ({ service, ports: [port] })),
  );
  inside = await mesh.add('inside', [{ service: 'checkout.shop', calls: true }]);
  outside = await mesh.add('outside', [{ service: 'checkout.default', calls: true }]);
});
test.after.always(async () => {
  stop?.();
  await mesh.stop();
});

let revision = 0;

async function expose(t: ExecutionContext, service: string, exposure: Exposure): Promise<void> {
  const { publish } = await startPublisher(t, mesh.nats.url, mesh.seed);
  revision += 1;
  const mine = revision;
  const snapshot = { ...snapshotOf(service, [1, mine]), ...(exposure === 'mesh' ? {} : { exposure }) };
  await publish('snapshot', snapshot);
  const held = () => (back.agent.publications() as { snapshot: Record<string, Revision> }).snapshot[service];
  // Another test may have published the same of the service since.
  await until(() => (held()?.[1] ?? 0) >= mine, 'the agent that serves has it');
}

test('a service of its namespace answers callers from there, and refuses all others with the reason', async (t) => {
  const [service = ''] = SERVICES;
  await expose(t, service, 'namespace');
  t.is((await ask(inside.door, service)).status, 200);
  const { status, headers, body } = await ask(outside.door, service, '/refused');
  t.is(status, 403);
  const problem = JSON.parse(body.toString());
  t.is(problem.code, 'denied');
  t.regex(JSON.stringify(problem), /a\.shop has exposure: namespace/);
  t.regex(String(headers['proxy-status']), /weft-outside; error=http_request_denied/);
  t.false(seen.includes('/refused'));
});

test('the agent of the caller refuses before it looks for an endpoint', async (t) => {
  const { publish } = await startPublisher(t, mesh.nats.url, mesh.seed);
  const snapshot = { ...snapshotOf('unserved.shop', [1, 1]), exposure: 'namespace' };
  await publish('snapshot', snapshot);
  t.is((await ask(outside.door, 'unserved.shop')).status, 403);
  t.is((await ask(inside.door, 'unserved.shop')).status, 503);
});

test('an exposure that changes holds for the next requests', async (t) => {
  const service = SERVICES[1] as string;
  t.is((await ask(outside.door, service)).status, 200);
  await expose(t, service, 'namespace');
  await until(async () => (await ask(outside.door, service)).status === 403, 'it is refused');
  await expose(t, service, 'mesh');
  await until(async () => (await ask(outside.door, service)).status === 200, 'it is let in');
  t.pass();
});

for (const [what, service, caller, expected] of [
  ['of another namespace', 'c.shop', 'thief.default', 'reset denied'],
  ['of an unknown caller', 'd.shop', '-', 'reset denied'],
  ['for a workload that its agent may not speak for', 'd.shop', 'checkout.shop', 'reset denied'],
  ['of the namespace', 'c.shop', 'thief.shop', 'response 200'],
] as const) {
  test(`an agent that leaves the early refusal out gets, for a request ${what}, ${expected}`, async (t) => {
    await expose(t, service, 'namespace');
    const link = await intrude(t, mesh.nats.url, mesh.seed, ['thief.default', 'thief.shop']);
    const ear = new Ear();
    const path = `/${encodeURIComponent(what)}`;
    link.openToService(service, `GET ${path} ${service} ${caller} -\r\nhost: x\r\n`, true, ear, 1);
    await until(() => ear.heard.length > 0, 'an answer');
    t.true(ear.heard[0]?.startsWith(expected), ear.heard[0]);
    t.is(seen.includes(path), expected === 'response 200');
  });
}

test('a backend that is of its namespace is refused where it is served, whatever route leads there', async (t) => {
  await expose(t, 'e.shop', 'namespace');
  const { publish } = await startPublisher(t, mesh.nats.url, mesh.seed);
  const path = { type: 'PathPrefix', value: '/' } as const;
  const backends = [{ service: 'e.shop', weight: 1, filters: [] }];
  await publish('snapshot', {
    ...snapshotOf('open.shop', [1, 1]),
    producer: {
      rules: [{ route: 'shop/open', index: 0, filters: [], backends, timeouts: {} }],
      matches: [{ rule: 0, path, headers: [], query: [] }],
    },
  });
  const { status, body } = await ask(outside.door, 'open.shop', '/by-route');
  t.deepEqual([status, JSON.parse(body.toString()).code], [403, 'denied']);
  t.false(seen.includes('/by-route'));
  t.is((await ask(inside.door, 'open.shop')).status, 200);
});

test('an agent that starts knows the exposure before it takes the first request', async (t) => {
  const service = 'late.shop';
  const { put } = await startPublisher(t, mesh.nats.url, mesh.seed);
  await put(
    'snapshot',
    service,
    sealed(mesh.seed, 'snapshot', { ...snapshotOf(service, [1, 1]), exposure: 'namespace' }),
  );
  const { agent } = await mesh.add('late', [{ service, ports: [port] }]);
  const held = agent.publications() as { snapshot: Record<string, unknown> };
  t.deepEqual(held.snapshot[service], [1, 1]);
});
