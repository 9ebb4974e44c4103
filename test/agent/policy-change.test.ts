/** What is under way when policy changes: a change concerns who asks after it, and nobody else. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import test from 'ava';
import WebSocket, { WebSocketServer } from 'ws';
import { LIMITS } from '../../src/protocol/limits.ts';
import { startControllerProcess } from '../kit/controller-process.ts';
import { ask, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';

/** A route whose rule for `/marked` sets a response field to `mark`; all else passes as it is. */
const route = (service: string, mark: string) => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${service} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${service} }]
  rules:
    - matches: [{ path: { value: /marked } }]
      filters:
        - type: ResponseHeaderModifier
          responseHeaderModifier: { set: [{ name: x-mark, value: ${mark} }] }
      backendRefs: [{ name: ${service}, port: 80 }]
    - backendRefs: [{ name: ${service}, port: 80 }]
`;

/** More than all windows between the application and its caller. */
const PIECE = randomBytes(2 * LIMITS.streamWindowMaxBytes);
const PIECES = 4;

const CHANGES = [
  { what: 'a route for another service', service: 'billing', mark: 'first' },
  { what: 'another rule of the same service', service: 'orders', mark: 'second' },
  { what: 'the same rule again', service: 'orders', mark: 'third' },
];

test('a WebSocket, a download and a slow request live through changes that do not concern them', async (t) => {
  t.timeout(300_000);
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const controller = await startControllerProcess(t, mesh);
  const waiting = new Map<string, ServerResponse>();
  const application = await startApplication((incoming, response) => {
    const path = incoming.url ?? '';
    incoming.resume();
    if (path.startsWith('/marked')) return void response.end('ok');
    t.false(waiting.has(path), `${path} is asked for once`);
    waiting.set(path, response);
  });
  t.teardown(application.stop);
  let conversations = 0;
  new WebSocketServer({ server: application.server }).on('connection', (socket) => {
    conversations += 1;
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  const back = await mesh.add('back', [
    { service: 'orders.default', ports: [application.port] },
    { service: 'billing.default', ports: [application.port] },
  ]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  const markOf = async (service: string) => (await ask(front.door, service, '/marked')).headers['x-mark'];
  await until(async () => (await controller.check()) === 0, 'the mesh is in order', 200);
  await controller.applied(route('orders', 'before'));
  await until(async () => (await markOf('orders')) === 'before', 'there is a route');

  const socket = new WebSocket(`ws://127.0.0.1:${front.door}/chat`, { headers: { host: 'orders' } });
  t.teardown(() => socket.terminate());
  const broken = new AbortController();
  const { signal } = broken;
  socket.on('error', (error) => broken.abort(error));
  socket.on('close', (code) => code === 4000 || broken.abort(new Error(`WebSocket closed with ${code}`)));
  await once(socket, 'open');
  const echo = async (text: string) => {
    socket.send(text);
    const [answer] = await once(socket, 'message', { signal });
    return String(answer);
  };
  t.is(await echo('before'), 'before');

  const slow = ask(front.door, 'orders', '/slow', { method: 'POST' }, 'body');
  const download = request({
    port: front.door,
    path: '/download',
    headers: { host: 'orders' },
    agent: false,
  });
  download.end();
  await until(() => waiting.size === 2, 'the application has both');
  const source = waiting.get('/download') as ServerResponse;
  source.setHeader('content-length', PIECES * PIECE.length);
  source.write(PIECE);
  const [sink] = (await once(download, 'response')) as [IncomingMessage];
  const digest = createHash('sha256');
  let received = 0;
  sink.on('error', (error) => broken.abort(error));
  // A piece lies half read wherever there is room for it while policy changes.
  const readUntil = async (bytes: number) => {
    while (received < bytes) {
      const chunk: Buffer | null = sink.read();
      if (chunk === null) await once(sink, 'readable', { signal });
      else {
        digest.update(chunk);
        received += chunk.length;
      }
    }
  };
  await readUntil(1);

  for (const [at, { what, service, mark }] of CHANGES.entries()) {
    await controller.applied(route(service, mark));
    t.is(await markOf(service), mark, `new requests see the change: ${what}`);
    t.is(await echo(what), what);
    await readUntil((at + 1) * PIECE.length);
    source.write(PIECE);
  }

  await readUntil(PIECES * PIECE.length);
  source.end();
  await once(sink.resume(), 'end');
  t.true(sink.complete);
  const whole = createHash('sha256');
  for (let piece = 0; piece < PIECES; piece++) whole.update(PIECE);
  t.is(digest.digest('hex'), whole.digest('hex'));
  waiting.get('/slow')?.end('late');
  t.like(await slow, { status: 200, body: Buffer.from('late') });
  socket.close(4000, 'done');
  t.deepEqual((await once(socket, 'close')).map(String), ['4000', 'done']);
  t.is(conversations, 1);
  t.false(signal.aborted);
  await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is left');
});
