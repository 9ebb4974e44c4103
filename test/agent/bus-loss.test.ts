import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import test from 'ava';
import { ask, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';
import { startNatsCluster } from '../kit/nats-cluster.ts';

const codeOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString()).code;

test('while NATS is away requests fail at once as bus_down, and all resumes when it is back', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const orders = await startApplication((_request, response) => response.end('ok'));
  t.teardown(orders.stop);
  const back = await mesh.add('back', [{ service: 'orders.default', ports: [orders.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  t.is((await ask(front.door, 'orders')).status, 200);

  for (let round = 0; round < 2; round++) {
    await mesh.nats.kill();
    await until(() => !front.agent.ready && !back.agent.ready, 'the loss is noticed');
    t.is(front.agent.reason, 'the connection to NATS is lost');
    const refused = await ask(front.door, 'orders', '/', { method: 'POST' }, 'x'.repeat(100_000));
    t.deepEqual([refused.status, codeOf(refused)], [503, 'bus_down']);
    t.is(refused.headers['retry-after'], '1');
    await mesh.nats.restart();
    await until(() => front.agent.ready && back.agent.ready, 'both are back');
    t.is((await ask(front.door, 'orders', '/', { method: 'POST' }, 'again')).body.toString(), 'ok');
    await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is left');
  }
});

test('requests that are under way when NATS goes end with bus_lost, at both ends', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const waiting: [IncomingMessage, ServerResponse][] = [];
  const orders = await startApplication((incoming, response) => {
    waiting.push([incoming, response]);
    if (incoming.url === '/begun') response.write('part');
  });
  t.teardown(orders.stop);
  const back = await mesh.add('back', [{ service: 'orders.default', ports: [orders.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  const silent = ask(front.door, 'orders', '/silent');
  const begun = request({ host: '127.0.0.1', port: front.door, path: '/begun', headers: { host: 'orders' } });
  begun.on('error', () => {});
  begun.end();
  const [response] = (await once(begun, 'response')) as [IncomingMessage];
  await until(() => waiting.length === 2, 'both have reached the application');
  const closed = Promise.all(waiting.map(([, one]) => once(one, 'close')));
  response.resume();
  const broken = once(response, 'error');

  await mesh.nats.kill();

  const answer = await silent;
  t.deepEqual([answer.status, codeOf(answer)], [502, 'bus_lost']);
  await broken;
  t.false(response.complete);
  await closed;
  await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is left');
});

test('a bus that hangs is noticed: requests fail with a name, and work again when it goes on', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const orders = await startApplication((_request, response) => response.end('ok'));
  t.teardown(orders.stop);
  const back = await mesh.add('back', [{ service: 'orders.default', ports: [orders.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  await ask(front.door, 'orders');

  mesh.nats.suspend();
  const answer = await ask(front.door, 'orders');
  t.true(['not_accepted', 'bus_lost', 'bus_down'].includes(codeOf(answer)), codeOf(answer));
  await until(() => !front.agent.ready, 'the pings have noticed');
  t.is(codeOf(await ask(front.door, 'orders')), 'bus_down');
  mesh.nats.resume();
  await until(() => front.agent.ready && back.agent.ready, 'both are back');
  t.is((await ask(front.door, 'orders')).status, 200);
  await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is left');
});

test('an agent that starts while NATS is away says so, and serves when it comes', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const orders = await startApplication((_request, response) => response.end('ok'));
  t.teardown(orders.stop);
  await mesh.nats.kill();
  const both = [
    { service: 'orders.default', ports: [orders.port] },
    { service: 'checkout.default', calls: true },
  ];
  const { agent, door } = await mesh.make('both', both);
  const started = agent.start();
  await until(() => agent.reason !== undefined, 'it says what is the matter');
  t.is(agent.state, 'connecting');
  t.false(agent.ready);
  const refused = await ask(door, 'absent');
  t.deepEqual([refused.status, codeOf(refused)], [503, 'bus_down']);

  await mesh.nats.restart();
  await started;
  t.true(agent.ready);
  t.is(agent.reason, undefined);
  t.is((await ask(door, 'orders')).status, 200);
});

test('what is on the same host goes on without the bus', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const orders = await startApplication((_request, response) => response.end('ok'));
  t.teardown(orders.stop);
  const both = [
    { service: 'orders.default', ports: [orders.port] },
    { service: 'checkout.default', calls: true },
  ];
  const { agent, door } = await mesh.add('both', both);
  await mesh.nats.kill();
  await until(() => !agent.ready, 'the loss is noticed');
  t.is((await ask(door, 'orders')).status, 200);
  await until(() => quiet(agent), 'nothing is left');
});

test('of three servers one may die', async (t) => {
  const servers = await startNatsCluster(3);
  const mesh = await startMesh(servers);
  t.teardown(mesh.stop);
  const orders = await startApplication((_request, response) => response.end('ok'));
  t.teardown(orders.stop);
  const back = await mesh.add('back', [{ service: 'orders.default', ports: [orders.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  const served = async () => (await ask(front.door, 'orders')).status === 200;
  await until(served, 'the routes know of the service');

  for (const server of servers.slice(0, 2)) {
    await server.kill();
    await until(async () => front.agent.ready && back.agent.ready && (await served()), 'it serves again');
    await server.restart();
  }
  await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is left');
  t.pass();
});
