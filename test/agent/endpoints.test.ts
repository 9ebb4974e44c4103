/** Endpoints that come, go, refuse, hang or die. */
import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { serviceSubject } from '../../src/protocol/subjects.ts';
import { freePort } from '../kit/free-port.ts';
import { ask, MESH, quiet, startApplication, startMesh, startRawApplication, until } from '../kit/mesh.ts';

const ORDERS = 'orders.default';
const CHECKOUT = { service: 'checkout.default', calls: true };
const codeOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString()).code;

async function counted(agent: { registry: { getSingleMetricAsString(name: string): Promise<string> } }) {
  const text = await agent.registry.getSingleMetricAsString('weft_retries_total');
  return Number(/weft_retries_total\{[^}]*\} (\d+)/.exec(text)?.[1] ?? 0);
}

test('a service that nobody serves fails as no_endpoint, after one retry', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const front = await mesh.add('front', [CHECKOUT]);
  const answer = await ask(front.door, 'orders', '/', { method: 'POST' }, 'body');
  t.deepEqual([answer.status, codeOf(answer)], [503, 'no_endpoint']);
  t.is(await counted(front.agent), 1);
  await until(() => quiet(front.agent), 'nothing is left');
});

test('an endpoint that joins is used, and one that leaves is not missed', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const named = (name: string) => startApplication((_request, response) => response.end(name));
  const [one, two] = [await named('one'), await named('two')];
  t.teardown(one.stop);
  t.teardown(two.stop);
  const first = await mesh.add('first', [{ service: ORDERS, ports: [one.port] }]);
  const front = await mesh.add('front', [CHECKOUT]);
  const who = async (method: string) => (await ask(front.door, 'orders', '/', { method })).body.toString();
  t.is(await who('GET'), 'one');
  t.is(await who('POST'), 'one');

  await mesh.add('second', [{ service: ORDERS, ports: [two.port] }]);
  await until(async () => (await who('GET')) === 'two', 'requests that can be repeated find it');
  await until(async () => (await who('POST')) === 'two', 'and then the others do');
  await first.agent.drain();
  for (let count = 0; count < 20; count++) t.is(await who(count % 2 === 0 ? 'GET' : 'POST'), 'two');
});

test('an endpoint that was replaced by a new process under its name is found again', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const orders = await startApplication((_request, response) => response.end('ok'));
  t.teardown(orders.stop);
  const before = await mesh.add('back', [{ service: ORDERS, ports: [orders.port] }]);
  const front = await mesh.add('front', [CHECKOUT]);
  const post = () => ask(front.door, 'orders', '/', { method: 'POST' }, 'body');
  t.is((await post()).status, 200);
  t.is((await post()).status, 200);
  await before.agent.stop();
  await mesh.add('back', [{ service: ORDERS, ports: [orders.port] }]);
  // Its old key is of no use any more; what was sealed for it fails with a name, and then it is asked anew.
  await until(async () => (await post()).status === 200, 'it is found again');
  for (let count = 0; count < 10; count++) t.is((await post()).status, 200);
});

test('an agent that takes requests and never answers costs a request two seconds and a name', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const front = await mesh.add('front', [CHECKOUT]);
  const hung = await connect({ servers: mesh.nats.url });
  t.teardown(() => hung.close());
  hung.subscribe(serviceSubject(MESH, ORDERS), { queue: 'weft', callback: () => {} });
  await hung.flush();
  const answer = await ask(front.door, 'orders');
  t.deepEqual([answer.status, codeOf(answer)], [503, 'not_accepted']);
  t.is(await counted(front.agent), 0);
  await until(() => quiet(front.agent), 'nothing is left');
});

test('a refused request is sent again with its body, once, and only if the body was small', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const orders = await startApplication(async (incoming, response) => {
    let bytes = 0;
    for await (const chunk of incoming) bytes += chunk.length;
    response.end(String(bytes));
  });
  t.teardown(orders.stop);
  // Two endpoints; the application of one is not running.
  await mesh.add('dead', [{ service: ORDERS, ports: [await freePort()] }]);
  await mesh.add('alive', [{ service: ORDERS, ports: [orders.port] }]);
  const front = await mesh.add('front', [CHECKOUT]);
  /** The bus picks, so it takes some until one meets the endpoint that is looked for. */
  const send = async (bytes: number) => {
    const before = await counted(front.agent);
    const answer = await ask(front.door, 'orders', '/', { method: 'PUT' }, Buffer.alloc(bytes, 1));
    const served = answer.status === 200;
    t.is(served ? answer.body.toString() : codeOf(answer), served ? String(bytes) : 'upstream_refused');
    return { served, retries: (await counted(front.agent)) - before };
  };
  await until(async () => {
    const { served, retries } = await send(60_000);
    t.true(retries <= 1);
    return served && retries === 1;
  }, 'a small one met the dead one, and then the other');
  await until(async () => {
    const { served, retries } = await send(200_000);
    t.is(retries, 0);
    return !served;
  }, 'a large one met the dead one');
});

test('of several local instances those that refuse are passed over', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const orders = await startApplication((_request, response) => setImmediate(() => response.end('ok')));
  t.teardown(orders.stop);
  const ports = [await freePort(), await freePort(), orders.port];
  await mesh.add('back', [{ service: ORDERS, ports }]);
  const front = await mesh.add('front', [CHECKOUT]);
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(front.door, 'orders')));
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
});

test('an application that closes without a word is upstream_closed, and leaves nothing', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const rude = await startRawApplication((socket) => socket.on('data', () => socket.destroy()));
  t.teardown(rude.stop);
  const back = await mesh.add('back', [{ service: ORDERS, ports: [rude.port] }]);
  const front = await mesh.add('front', [CHECKOUT]);
  const answer = await ask(front.door, 'orders');
  t.deepEqual([answer.status, codeOf(answer)], [502, 'upstream_closed']);
  await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is left');
});
