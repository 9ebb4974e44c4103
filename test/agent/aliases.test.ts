/** Aliases of services, over three agents and a real bus: one that calls, and two of which each serves one version. */
import type { IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import { ask, MESH, startApplication, startMesh, type TestAgent, type TestMesh, until } from '../kit/mesh.ts';
import { type Publisher, startPublisher } from '../kit/publisher.ts';

let mesh: TestMesh;
let front: TestAgent;
const stops: (() => void)[] = [];
test.before(async () => {
  mesh = await startMesh();
  for (const service of ['v1', 'v2']) {
    const { port, stop } = await startApplication(({ url, headers }, response) => {
      response.end(JSON.stringify({ service, url, headers }));
    });
    stops.push(stop);
    await mesh.add(`back-${service}`, [{ service: `${service}.default`, ports: [port] }]);
  }
  front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
});
test.after.always(async () => {
  for (const stop of stops) stop();
  await mesh.stop();
});

let revision = 0;

/** Publishes what the controller makes of resources, for these names. */
async function publish(t: ExecutionContext, text: string, ...names: string[]): Promise<Publisher> {
  const { resources, faults } = readResources(text, 'test.yaml');
  t.deepEqual(faults, []);
  const index = createCompileIndex(resources.map(({ resource }) => resource));
  const known = new Set(['v1.default', 'v2.default']);
  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
  for (const name of names) {
    revision += 1;
    const snapshot = compileService(name, index, known, { mesh: MESH, epoch: 1, revision });
    await publisher.publish('snapshot', snapshot as Parameters<Publisher['publish']>[1]);
  }
  return publisher;
}

const service = (name: string, aliases: readonly string[]) =>
  `{ apiVersion: weft.dev/v1, kind: Service, metadata: { name: ${name} }, spec: { aliases: ${JSON.stringify(aliases)} } }`;

async function told(host: string, path = '/', options: Parameters<typeof ask>[3] = {}) {
  const { status, body } = await ask(front.door, host, path, options);
  if (status !== 200) throw new Error(`status ${status}: ${body}`);
  return JSON.parse(body.toString()) as { service: string; url: string; headers: IncomingHttpHeaders };
}

const refusal = async (host: string) => {
  const { status, body } = await ask(front.door, host);
  return [status, JSON.parse(body.toString()).code];
};

test('a request to an alias reaches the service, with the Host as it was sent', async (t) => {
  const names = ['first.default', 'first.shop', 'first.example.com'];
  await publish(t, service('v1', ['first', 'first.shop', 'first.example.com']), ...names);
  for (const host of [
    'first',
    'first:8080',
    'first.shop.svc',
    'First.Example.com',
    'first.example.com.:80',
  ]) {
    const { service, headers } = await told(host);
    t.is(service, 'v1', host);
    t.is(headers.host, host);
  }
  const absolute = await told('elsewhere', 'http://first.example.com/path?q=1');
  t.deepEqual(
    [absolute.service, absolute.url, absolute.headers.host],
    ['v1', '/path?q=1', 'first.example.com'],
  );
});

test('requests to an alias count as requests to the service', async (t) => {
  await publish(t, service('v1', ['counted.example.com']), 'counted.example.com');
  await told('counted.example.com');
  const series = async () => (await front.agent.registry.metrics()).match(/^weft_request.*/gm) ?? [];
  await until(async () => (await series()).some((line) => line.includes('v1.default')), 'it is counted');
  t.false((await series()).some((line) => line.includes('counted.example.com')));
});

test('an alias has the routes of its service, with their weights, and the consumer routes of its callers', async (t) => {
  const route = (namespace: string, more: string) =>
    `\n---\n{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: { name: r, namespace: ${namespace} }, spec: { parentRefs: [{ group: "", kind: Service, name: both, namespace: default }], rules: [{ ${more} }] } }`;
  const weighted =
    'backendRefs: [{ name: v1, namespace: default, port: 80, weight: 1 }, { name: v2, namespace: default, port: 80, weight: 1 }]';
  const text = service('both', ['either.example.com']) + route('default', weighted);
  await publish(t, text, 'both.default', 'either.example.com');
  const seen = new Set<string>();
  while (seen.size < 2) seen.add((await told('either.example.com')).service);
  t.deepEqual([...seen].sort(), ['v1', 'v2']);

  const shop = await mesh.add('shop-front', [{ service: 'checkout.shop', calls: true }]);
  const only =
    'backendRefs: [{ name: v2, namespace: default, port: 80 }], matches: [{ path: { value: /mine } }]';
  await publish(t, text + route('shop', only), 'both.default');
  const mine = await ask(shop.door, 'either.example.com', '/mine');
  t.is(JSON.parse(mine.body.toString()).service, 'v2');
  t.is((await ask(shop.door, 'either.example.com', '/other')).status, 404);
});

test('an alias that is taken away leads nowhere, and one that moves leads to the other service', async (t) => {
  await publish(t, service('v1', ['moving', 'gone.example.com']), 'moving.default', 'gone.example.com');
  t.is((await told('moving')).service, 'v1');
  t.is((await told('gone.example.com')).service, 'v1');
  await publish(t, service('v2', ['moving']), 'moving.default', 'gone.example.com');
  await until(async () => (await told('moving')).service === 'v2', 'the alias has moved');
  await until(async () => (await refusal('gone.example.com'))[0] !== 200, 'the alias is gone');
  t.deepEqual(await refusal('gone.example.com'), [400, 'not_a_proxy_target']);
  await publish(t, service('v2', []), 'moving.default');
  await until(async () => (await ask(front.door, 'moving')).status === 503, 'it is no alias any more');
  t.deepEqual(await refusal('moving'), [503, 'no_endpoint']);
});

test('what the root has not signed makes no alias', async (t) => {
  const publisher = await publish(t, service('v1', []), 'v1.default');
  await publisher.put('snapshot', 'forged.example.com', 'e30.e30.e30');
  t.deepEqual(await refusal('forged.example.com'), [400, 'not_a_proxy_target']);
});

test('a host that is no alias is refused', async (t) => {
  t.deepEqual(await refusal('www.example.com'), [400, 'not_a_proxy_target']);
  t.deepEqual(await refusal('127.0.0.1:80'), [400, 'not_a_proxy_target']);
});

test('CONNECT to an alias opens a tunnel', async (t) => {
  await publish(t, service('v1', ['tunnel.example.com']), 'tunnel.example.com');
  const socket = connect(front.door, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write('CONNECT tunnel.example.com:80 HTTP/1.1\r\nHost: tunnel.example.com:80\r\n\r\n');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await until(() => text.includes('\r\n\r\n'), 'the tunnel');
  t.regex(text, /^HTTP\/1\.1 200 /);
  socket.write('GET /in HTTP/1.1\r\nHost: tunnel.example.com\r\n\r\n');
  await until(() => text.includes('"/in"'), 'the answer');
  t.regex(text, /"service":"v1"/);
});
