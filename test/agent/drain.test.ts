import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import WebSocket, { WebSocketServer } from 'ws';
import { ask, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';

const ORDERS = 'orders.default';
const CHECKOUT = { service: 'checkout.default', calls: true };

/** Two agents and an application whose responses the test ends. */
async function start(t: ExecutionContext, drainMs?: number) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const waiting: ServerResponse[] = [];
  const orders = await startApplication((incoming, response) => {
    if (incoming.url === '/slow') waiting.push(response);
    else incoming.resume().on('end', () => response.end('ok'));
  });
  t.teardown(orders.stop);
  const back = await mesh.add('back', [{ service: ORDERS, ports: [orders.port] }], drainMs);
  const front = await mesh.add('front', [CHECKOUT], drainMs);
  return { mesh, orders, back, front, waiting };
}

const zero = (counts: Record<string, number>) => Object.values(counts).every((count) => count === 0);

test('a drained agent finishes what it has, takes no new request, and is empty when it stops', async (t) => {
  const { back, front, waiting } = await start(t);
  const slow = ask(front.door, 'orders', '/slow');
  await until(() => waiting.length === 1, 'the application has it');

  const drained = back.agent.drain();
  t.is(back.agent.state, 'draining');
  t.false(back.agent.ready);
  await until(async () => (await ask(front.door, 'orders')).status === 503, 'it has left the groups');
  waiting[0]?.end('done');
  t.is((await slow).body.toString(), 'done');
  await drained;
  t.is(back.agent.state, 'stopped');
  await until(() => zero(back.agent.counts()), 'nothing is left');
});

test('a drained caller lets its application finish, and closes the connection after it', async (t) => {
  const { front, waiting } = await start(t);
  const sent = request({ host: '127.0.0.1', port: front.door, path: '/slow', headers: { host: 'orders' } });
  sent.end();
  await until(() => waiting.length === 1, 'the application has it');
  const drained = front.agent.drain();
  waiting[0]?.end('done');
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  t.is(response.headers.connection, 'close');
  response.resume();
  await once(response, 'end');
  await drained;
  await until(() => zero(front.agent.counts()), 'nothing is left');
  await t.throwsAsync(ask(front.door, 'orders'), { code: 'ECONNREFUSED' });
});

test('no request fails because agents drain while another serves', async (t) => {
  const { mesh, orders, front } = await start(t);
  const codes = new Map<string, number>();
  const served = () => codes.get('200') ?? 0;
  let over = false;
  const caller = async (method: string) => {
    while (!over) {
      const { status, headers } = await ask(
        front.door,
        'orders',
        '/',
        { method },
        method === 'POST' ? 'body' : '',
      );
      const code = status === 200 ? '200' : String(headers['proxy-status']);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
  };
  const callers = Array.from({ length: 40 }, (_, at) => caller(at % 2 === 0 ? 'GET' : 'POST'));
  for (let round = 0; round < 8; round++) {
    const { agent } = await mesh.add(`passing-${round}`, [{ service: ORDERS, ports: [orders.port] }]);
    const enough = served() + 60;
    await until(() => served() > enough, 'it takes its part');
    await agent.drain();
  }
  over = true;
  await Promise.all(callers);
  t.deepEqual([...codes.keys()], ['200']);
});

/** A WebSocket across two agents, to an application that says everything again. */
async function startEcho(t: ExecutionContext, drainMs: number) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const application = await startApplication((_request, response) => response.end());
  t.teardown(application.stop);
  const sockets = new WebSocketServer({ server: application.server });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  const back = await mesh.add('back', [{ service: ORDERS, ports: [application.port] }], drainMs);
  const front = await mesh.add('front', [CHECKOUT]);
  const client = new WebSocket(`ws://127.0.0.1:${front.door}/`, { headers: { host: 'orders' } });
  client.on('error', () => {});
  await once(client, 'open');
  const echoed = async (text: string) => {
    client.send(text);
    const [data] = await once(client, 'message');
    return String(data) === text;
  };
  return { back, front, client, echoed };
}

test('an upgraded stream runs on while its agent drains, and the agent waits for it', async (t) => {
  const { back, client, echoed } = await startEcho(t, 60_000);
  t.true(await echoed('before'));
  const drained = back.agent.drain();
  t.true(await echoed('while it drains'));
  t.is(back.agent.state, 'draining');
  client.close();
  await drained;
  await until(() => zero(back.agent.counts()), 'nothing is left');
});

test('an upgraded stream that outlives the drain time is broken off', async (t) => {
  const { back, front, client, echoed } = await startEcho(t, 1);
  t.true(await echoed('before'));
  const closed = once(client, 'close');
  await back.agent.drain();
  const [code] = await closed;
  t.is(code, 1006);
  await until(() => zero(back.agent.counts()), 'nothing is left');
  await until(() => quiet(front.agent), 'nothing is left');
});

test('an agent that is stopped at once takes its requests along, here and where they are served', async (t) => {
  const { front, back, waiting } = await start(t);
  const broken = Array.from({ length: 5 }, async () => {
    const sent = request({ host: '127.0.0.1', port: front.door, path: '/slow', headers: { host: 'orders' } });
    sent.on('error', () => {});
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    const [error] = await once(response, 'error').catch((raised) => [raised]);
    return (error as NodeJS.ErrnoException).code;
  });
  await until(() => waiting.length === 5, 'the application has them');
  for (const response of waiting) response.write('begun');
  await until(() => front.agent.counts().streamsOpened === 5, 'they are open');
  await until(() => waiting.every(({ headersSent }) => headersSent), 'they have begun');
  await ask(front.door, 'orders', '/');
  await front.agent.stop();
  t.deepEqual(await Promise.all(broken), Array(5).fill('ECONNRESET'));
  await until(() => zero(front.agent.counts()), 'nothing is left at the caller');
  await until(() => quiet(back.agent), 'nothing is left where it was served');
});

test('an agent that is stopped in the middle of a request to itself leaves nothing', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const waiting: ServerResponse[] = [];
  const orders = await startApplication((_request, response) => waiting.push(response));
  t.teardown(orders.stop);
  const both = await mesh.add('both', [{ service: ORDERS, ports: [orders.port] }, CHECKOUT]);
  const slow = ask(both.door, 'orders', '/', { method: 'POST' });
  await until(() => waiting.length === 1, 'the application has it');
  await both.agent.stop();
  await t.throwsAsync(slow);
  await until(() => zero(both.agent.counts()), 'nothing is left');
  t.is(both.agent.state, 'stopped');
});
