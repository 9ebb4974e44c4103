/** What waits too long is ended by name, on clocks that the test moves. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { FailedRequest } from '../../src/agent/failure-log.ts';
import { ServerConnection } from '../../src/agent/http1/server-connection.ts';
import { InboundProxy } from '../../src/agent/inbound/proxy.ts';
import { Upstream } from '../../src/agent/inbound/upstream.ts';
import type { Stream, StreamHandler } from '../../src/agent/link/stream.ts';
import { Balancer } from '../../src/agent/outbound/balancer.ts';
import { OutboundProxy } from '../../src/agent/outbound/proxy.ts';
import { RetryBudget } from '../../src/agent/outbound/retry.ts';
import { NO_ROUTES, RouteBook, type SnapshotSource } from '../../src/agent/outbound/route-book.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { Tracer } from '../../src/protocol/trace.ts';
import { startRawApplication, until } from '../kit/mesh.ts';
import { NO_POLICIES } from '../kit/no-policies.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';

const keyring = createRootKeyring({
  rootSeed: createRoot().seed,
  mesh: 'test',
  agent: 'front',
  workloads: ['checkout.default'],
  now: Date.now,
});
const SELF = keyring.verify(keyring.document);
const HEAD = (deadlineMs: number) => `GET / orders.default checkout.default ${deadlineMs}\r\n`;

/** A stream that keeps what it was told. */
function fakeStream(): Stream & { told: string[] } {
  const told: string[] = [];
  return {
    told,
    peer: 'back',
    sendInformational: (head) => void told.push(`informational ${head.trim()}`),
    sendResponse: (head) => void told.push(`response ${head.trim()}`),
    sendData: () => true,
    sendEnd: () => void told.push('end'),
    reset: (code) => void told.push(`reset ${code}`),
    release() {},
    requireEvidence() {},
    consumed() {},
  };
}

/** A door in front of streams that only do what the test says. */
async function openDoor(t: ExecutionContext, snapshots: SnapshotSource = NO_ROUTES) {
  const clock = { nowMs: 1_000 };
  const now = () => clock.nowMs;
  const opened = Promise.withResolvers<{ head: string; handler: StreamHandler }>();
  const stream = fakeStream();
  const ended: string[] = [];
  const parts = {
    agent: 'front',
    open(_service: string, _endpoint: unknown, head: string, _last: boolean, handler: StreamHandler) {
      opened.resolve({ head, handler });
      return stream;
    },
    balancer: new Balancer(SELF, new Set(), now),
    routes: new RouteBook(snapshots, now),
    authorization: NO_POLICIES,
    wake() {},
    budget: new RetryBudget(now),
    tracer: new Tracer(),
    recorder: {
      ended: (_service: string, status: number, code: string) => void ended.push(`${status} ${code}`),
      retried() {},
    },
    now,
    wallMs: now,
    random: () => 0,
    failed() {},
  };
  const proxy = new OutboundProxy(parts, 'checkout.default', () => {});
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    new ServerConnection(socket, proxy, now);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.setEncoding('latin1').on('error', () => {});
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  return { clock, proxy, client, stream, ended, opened: opened.promise };
}

test('a response head that does not come in time is a deadline, and the far side is told', async (t) => {
  const { clock, proxy, client, stream, ended, opened } = await openDoor(t);
  client.write('GET / HTTP/1.1\r\nhost: orders\r\n\r\n');
  const { head } = await opened;
  t.regex(head, new RegExp(`^GET / orders.default checkout.default ${LIMITS.responseHeadTimeoutMs}\r\n`));
  clock.nowMs += LIMITS.responseHeadTimeoutMs - 1;
  proxy.tick(clock.nowMs);
  t.deepEqual(stream.told, []);
  clock.nowMs += 1;
  proxy.tick(clock.nowMs);
  const [answer] = await once(client, 'data');
  t.regex(answer, /^HTTP\/1.1 504 .*error=http_response_timeout; details="deadline: /s);
  t.deepEqual(stream.told, ['reset deadline']);
  t.deepEqual(ended, ['504 deadline']);
  t.is(proxy.active.size, 0);
});

test('a request whose routes are not known is held for its time and no longer, then sent without', async (t) => {
  const { clock, proxy, client, opened } = await openDoor(t, { ...NO_ROUTES, known: () => false });
  client.write('GET /held HTTP/1.1\r\nhost: orders\r\n\r\n');
  await until(() => proxy.active.size === 1, 'the request has come');
  let left = false;
  opened.then(() => {
    left = true;
  });
  clock.nowMs += LIMITS.snapshotWaitMs - 1;
  proxy.tick(clock.nowMs);
  await Promise.resolve();
  t.false(left);
  clock.nowMs += 1;
  proxy.tick(clock.nowMs);
  t.regex((await opened).head, /^GET \/held orders\.default /);
});

test('a request that keeps arriving is not held to the time of a response', async (t) => {
  const { clock, proxy, client, stream, opened } = await openDoor(t);
  client.write('PUT / HTTP/1.1\r\nhost: orders\r\ncontent-length: 100\r\n\r\nx');
  await opened;
  clock.nowMs += LIMITS.responseHeadTimeoutMs * 2;
  proxy.tick(clock.nowMs);
  t.deepEqual(stream.told, []);
});

test('a response that stops in the middle is ended after the idle time, and not as if it were whole', async (t) => {
  const { clock, proxy, client, stream, ended, opened } = await openDoor(t);
  client.write('GET / HTTP/1.1\r\nhost: orders\r\n\r\n');
  const { handler } = await opened;
  handler.streamResponse('200 OK\r\n', false);
  handler.streamData(Buffer.from('part'));
  proxy.tick(clock.nowMs);
  const closed = new Promise((resolve) => client.once('close', resolve));
  let received = '';
  client.on('data', (text) => {
    received += text;
  });
  clock.nowMs += LIMITS.streamIdleMs;
  proxy.tick(clock.nowMs);
  await closed;
  t.false(received.endsWith('0\r\n\r\n'));
  t.deepEqual(stream.told, ['reset stream_idle']);
  t.deepEqual(ended, ['200 stream_idle']);
});

async function serveOne(t: ExecutionContext) {
  const connections: string[] = [];
  const closed = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const application = await startRawApplication((socket) => {
    connections.push('connected');
    socket.once('data', () => arrived.resolve());
    socket.on('end', () => closed.resolve());
  });
  t.teardown(application.stop);
  const clock = { nowMs: 1_000 };
  const upstream = new Upstream([{ host: '127.0.0.1', port: application.port }], () => clock.nowMs);
  const ended: string[] = [];
  const failures: FailedRequest[] = [];
  const proxy = new InboundProxy({
    mesh: 'test',
    upstreams: new Map([['orders.default', upstream]]),
    snapshotOf: () => undefined,
    authorization: NO_POLICIES,
    recorder: { ended: (_service, _status, code) => void ended.push(code), retried() {} },
    now: () => clock.nowMs,
    failed: (failure) => void failures.push(failure),
  });
  return { clock, proxy, ended, failures, connections, arrived: arrived.promise, closed: closed.promise };
}

test('a request without time left does not reach the application', async (t) => {
  const { proxy, ended, connections } = await serveOne(t);
  const stream = fakeStream();
  proxy.serve(stream, SELF, HEAD(0), true);
  t.deepEqual(stream.told, ['reset deadline_spent']);
  t.deepEqual(ended, ['deadline_spent']);
  t.deepEqual(connections, []);
});

test('a deadline that the caller reports aborts the request at the application', async (t) => {
  const { proxy, ended, arrived, closed } = await serveOne(t);
  const stream = fakeStream();
  const handler = proxy.serve(stream, SELF, HEAD(15_000), true);
  await arrived;
  handler.streamReset(new WeftError('deadline', 'no response head within 15 s'));
  await closed;
  t.deepEqual(ended, ['deadline']);
  t.is(proxy.active.size, 0);
});

test('a request whose caller has gone without a word ends after the idle time', async (t) => {
  const { clock, proxy, ended, arrived, closed } = await serveOne(t);
  const stream = fakeStream();
  proxy.serve(stream, SELF, HEAD(15_000), true);
  await arrived;
  clock.nowMs += LIMITS.streamIdleMs;
  proxy.tick(clock.nowMs);
  await closed;
  t.deepEqual(stream.told, ['reset stream_idle']);
  t.deepEqual(ended, ['stream_idle']);
});

test('a fault of our own on the way in is logged with its cause; what the caller is told of is not', async (t) => {
  const { proxy, ended, failures, arrived } = await serveOne(t);
  proxy.serve(fakeStream(), SELF, HEAD(0), true);
  t.deepEqual(failures, []);
  const stream = fakeStream();
  const cause = new TypeError('a fault of the test');
  stream.consumed = () => {
    throw cause;
  };
  const handler = proxy.serve(stream, SELF, HEAD(15_000), false);
  await arrived;
  handler.streamData(Buffer.from('body'));
  t.deepEqual(stream.told, ['reset internal']);
  t.deepEqual(ended, ['deadline_spent', 'internal']);
  t.like(failures, [{ side: 'inbound', service: 'orders.default', error: { code: 'internal', cause } }]);
});
