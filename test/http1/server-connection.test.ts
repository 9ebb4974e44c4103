import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { RequestHead } from '../../src/agent/http1/head.ts';
import {
  ServerConnection,
  type ServerExchange,
  type ServerHandler,
} from '../../src/agent/http1/server-connection.ts';
import { ERRORS } from '../../src/protocol/errors.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { dial, type RawPeer } from '../kit/raw-peer.ts';
import { TestClock } from '../kit/time.ts';

interface Served {
  readonly client: RawPeer;
  readonly connection: ServerConnection;
  readonly clock: TestClock;
  /** What the handler has been told, in order. */
  readonly told: string[];
  /** Resolves with the next request. */
  request(): Promise<RequestHead>;
  /** Resolves when all that the client has sent until now has been read. */
  arrived(): Promise<void>;
  /** Resolves when the end of what the client sends has been read. */
  ended(): Promise<void>;
}

/** A connection whose requests the test answers itself. */
async function serve(t: ExecutionContext): Promise<Served> {
  const told: string[] = [];
  const clock = new TestClock();
  let next = Promise.withResolvers<RequestHead>();
  const exchange: ServerExchange = {
    requestData: (chunk) => told.push(`data ${chunk.toString('latin1')}`),
    requestEnd: () => told.push('end'),
    requestAborted: () => told.push('aborted'),
    responseDrained: () => {},
  };
  const handler: ServerHandler = {
    request(_, head) {
      told.push(`request ${head.target}`);
      next.resolve(head);
      next = Promise.withResolvers();
      return exchange;
    },
    refuse(connection, error) {
      told.push(`refuse ${error.code}`);
      connection.respond(ERRORS[error.code].status, error.code, [], 0, true);
    },
    brokenOff: (error) => told.push(`broken off ${error.code}`),
    connectRefusal: () => undefined,
    closed: () => told.push('closed'),
  };
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const client = await dial((server.address() as AddressInfo).port);
  t.teardown(() => client.socket.destroy());
  const [socket] = (await accepted) as [Socket];
  const connection = new ServerConnection(socket, handler, clock.now);
  return {
    client,
    connection,
    clock,
    told,
    request: () => next.promise,
    async arrived() {
      while (socket.bytesRead < client.socket.bytesWritten) await new Promise(setImmediate);
    },
    async ended() {
      while (!socket.readableEnded) await new Promise(setImmediate);
    },
  };
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;

test('a head that comes too slowly is refused with 408, however steadily it trickles', async (t) => {
  const { client, connection, clock, told, arrived } = await serve(t);
  for (const byte of 'GET / HTTP/1') {
    client.write(byte);
    await arrived();
    connection.expire(clock.nowMs);
    clock.nowMs += 1_000;
  }
  connection.expire(clock.nowMs);
  t.regex(await client.rest(), /^HTTP\/1.1 408 [\s\S]*\r\nconnection: close\r\n/);
  t.deepEqual(told.slice(0, 1), ['refuse request_timeout']);
});

test('a head in single bytes is read if it is in time', async (t) => {
  const { client, connection, request, arrived } = await serve(t);
  const asked = request();
  for (const byte of get('/slow')) {
    client.write(byte);
    await arrived();
  }
  t.is((await asked).target, '/slow');
  connection.respond(204, 'No Content', [], undefined, true);
  t.is(await client.head(), 'HTTP/1.1 204 No Content\r\n\r\n');
});

test('a connection without a request is closed after the idle limit, without a word', async (t) => {
  const { client, connection, clock, told } = await serve(t);
  clock.nowMs += LIMITS.downstreamIdleMs - 1;
  connection.expire(clock.nowMs);
  t.deepEqual(told, []);
  clock.nowMs += 1;
  connection.expire(clock.nowMs);
  t.is(await client.rest(), '');
});

test('the idle limit starts anew after each response', async (t) => {
  const { client, connection, clock, request } = await serve(t);
  for (const path of ['/1', '/2']) {
    clock.nowMs += LIMITS.downstreamIdleMs - 1;
    connection.expire(clock.nowMs);
    client.write(get(path));
    t.is((await request()).target, path);
    clock.nowMs += 10 * LIMITS.downstreamIdleMs;
    connection.expire(clock.nowMs);
    connection.respond(200, 'OK', [], undefined, true);
    await client.head();
  }
});

test('a caller that has ended its half is waited for only a moment', async (t) => {
  const { client, connection, clock, told, request, ended } = await serve(t);
  const asked = request();
  client.end(get('/'));
  await asked;
  await ended();
  clock.nowMs += LIMITS.halfClosedMs;
  connection.expire(clock.nowMs);
  await client.rest();
  t.true(client.broken);
  t.is(told[1], 'aborted');
});

for (const when of ['before', 'after']) {
  test(`a response that began ${when} the caller ended its half is not cut off`, async (t) => {
    const { client, connection, clock, request, ended } = await serve(t);
    const asked = request();
    client.write(get('/'));
    await asked;
    if (when === 'after') client.end();
    if (when === 'after') await ended();
    connection.respond(200, 'OK', ['content-length', '4'], 4, false);
    connection.write(Buffer.from('ab'));
    await client.until('ab');
    if (when === 'before') client.end();
    await ended();
    clock.nowMs += 10 * LIMITS.halfClosedMs;
    connection.expire(clock.nowMs);
    connection.write(Buffer.from('cd'));
    connection.end(undefined);
    t.is(await client.rest(), 'cd');
    t.false(client.broken);
  });
}

test('the rest of a request that is answered already is read for a moment only', async (t) => {
  const { client, connection, clock, request } = await serve(t);
  const asked = request();
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  await asked;
  connection.respond(400, 'Bad', [], undefined, true);
  await client.head();
  clock.nowMs += LIMITS.discardMs;
  connection.expire(clock.nowMs);
  t.is(await client.rest(), '');
});

test('a drained connection closes at once when idle, and after the response when busy', async (t) => {
  const idle = await serve(t);
  idle.connection.drain();
  t.is(await idle.client.rest(), '');
  const busy = await serve(t);
  const asked = busy.request();
  busy.client.write(get('/1') + get('/2'));
  await asked;
  busy.connection.drain();
  busy.connection.respond(200, 'OK', [], undefined, true);
  t.is(await busy.client.rest(), 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
  t.deepEqual(
    busy.told.filter((line) => line.startsWith('request')),
    ['request /1'],
  );
});

test('a pipelined request waits for the response before it', async (t) => {
  const { client, connection, told, request, arrived } = await serve(t);
  const first = request();
  client.write(get('/1') + get('/2'));
  await first;
  await arrived();
  t.deepEqual(told, ['request /1']);
  const second = request();
  connection.respond(200, 'OK', [], undefined, true);
  t.is((await second).target, '/2');
});

test('an exchange that has ended is not called again', async (t) => {
  const { client, connection, told, request } = await serve(t);
  const asked = request();
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
  await asked;
  connection.respond(200, 'OK', [], undefined, true);
  await client.head();
  const next = request();
  client.write(`def${get('/2')}`);
  await next;
  connection.respond(200, 'OK', [], undefined, true);
  await client.head();
  client.end();
  await client.rest();
  t.deepEqual(told.slice(0, 3), ['request /', 'data abc', 'request /2']);
  t.false(told.includes('aborted'));
});

test('a response longer or shorter than it announced is refused, not sent wrong', async (t) => {
  const { client, connection, request } = await serve(t);
  const asked = request();
  client.write(get('/'));
  await asked;
  connection.respond(200, 'OK', ['content-length', '3'], 3, false);
  t.throws(() => connection.write(Buffer.from('abcd')), { message: /longer/ });
  connection.write(Buffer.from('ab'));
  t.throws(() => connection.end(undefined), { message: /shorter/ });
  connection.abort();
  await client.rest();
  t.true(client.broken);
});
