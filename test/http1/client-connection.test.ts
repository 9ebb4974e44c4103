import test, { type ExecutionContext } from 'ava';
import {
  ClientConnection,
  type ClientExchange,
  type ConnectionOwner,
} from '../../src/agent/http1/client-connection.ts';
import type { WeftError } from '../../src/protocol/errors.ts';
import { freePort } from '../kit/free-port.ts';
import { startRawApplication } from '../kit/mesh.ts';
import { RawPeer } from '../kit/raw-peer.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** What happens to an exchange, as text; `over` resolves with all of it. */
class Exchange implements ClientExchange {
  readonly #told: string[] = [];
  readonly #over = Promise.withResolvers<string[]>();
  readonly over = this.#over.promise;

  responseInformational(head: { status: number }): void {
    this.#told.push(`${head.status}`);
  }
  responseHead(head: { status: number }, last: boolean): void {
    this.#told.push(`${head.status}`);
    if (last) this.#over.resolve(this.#told);
  }
  responseData(chunk: Buffer): void {
    this.#told.push(chunk.toString('latin1'));
  }
  responseEnd(): void {
    this.#told.push('end');
    this.#over.resolve(this.#told);
  }
  responseFailed(error: WeftError, unanswered: boolean): void {
    this.#told.push(`${error.code}${unanswered ? ' unanswered' : ''}`);
    this.#over.resolve(this.#told);
  }
  requestDrained(): void {}
}

/** Owns one connection and tells what becomes of it. */
class Owner implements ConnectionOwner {
  readonly states: string[] = [];
  readonly opening = Promise.withResolvers<WeftError | undefined>();
  readonly closing = Promise.withResolvers<void>();
  whenIdle: (connection: ClientConnection) => void = () => {};

  opened(_: ClientConnection, error: WeftError | undefined): void {
    this.opening.resolve(error);
  }
  idle(connection: ClientConnection): void {
    this.states.push('idle');
    this.whenIdle(connection);
  }
  closed(): void {
    this.states.push('closed');
    this.closing.resolve();
  }
}

/** A connection to an application that the test plays. */
async function open(
  t: ExecutionContext,
  play: (app: RawPeer) => Promise<void>,
): Promise<{ connection: ClientConnection; owner: Owner }> {
  const application = await startRawApplication((socket) => {
    play(new RawPeer(socket)).catch(() => socket.destroy());
  });
  t.teardown(application.stop);
  const owner = new Owner();
  const connection = new ClientConnection({ host: '127.0.0.1', port: application.port }, owner);
  t.teardown(() => connection.destroy());
  t.is(await owner.opening.promise, undefined);
  return { connection, owner };
}

/** Answers every head with these bytes. */
const answering = (bytes: string) => async (app: RawPeer) => {
  for (;;) {
    await app.head();
    app.write(bytes);
  }
};

test('a connection is idle again after each response, and takes the next request', async (t) => {
  const { connection, owner } = await open(t, answering(OK));
  for (let count = 0; count < 3; count++) {
    const exchange = new Exchange();
    connection.send(exchange, GET, 'GET', 0);
    t.deepEqual(await exchange.over, ['200', 'ok', 'end']);
  }
  t.is(connection.uses, 3);
  t.deepEqual(owner.states, ['idle', 'idle', 'idle']);
});

test('bytes behind a response end the connection, even if the next request is sent at once', async (t) => {
  const { connection, owner } = await open(
    t,
    answering(`${OK}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison`),
  );
  const [first, second] = [new Exchange(), new Exchange()];
  owner.whenIdle = () => connection.send(second, GET, 'GET', 0);
  connection.send(first, GET, 'GET', 0);
  t.deepEqual(await first.over, ['200', 'ok', 'end']);
  await owner.closing.promise;
  t.deepEqual(owner.states, ['closed']);
});

test('bytes that nobody asked for end an idle connection', async (t) => {
  const { owner } = await open(t, async (app) => app.write(OK));
  await owner.closing.promise;
  t.deepEqual(owner.states, ['closed']);
});

test('a connection is not used again after Connection: close, an early response or a response without length', async (t) => {
  for (const [bytes, bodyLength] of [
    ['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n', 0],
    ['HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', 0],
    ['HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n', 10],
  ] as const) {
    const { connection, owner } = await open(t, answering(bytes));
    const exchange = new Exchange();
    connection.send(exchange, GET, 'GET', bodyLength);
    await exchange.over;
    await owner.closing.promise;
    t.deepEqual(owner.states, ['closed']);
  }
  const { connection, owner } = await open(t, async (app) => {
    await app.head();
    app.end('HTTP/1.1 200 OK\r\n\r\nall');
  });
  const exchange = new Exchange();
  connection.send(exchange, GET, 'GET', 0);
  t.deepEqual(await exchange.over, ['200', 'all', 'end']);
  await owner.closing.promise;
  t.deepEqual(owner.states, ['closed']);
});

for (const [what, bytes, expected] of [
  ['nothing', '', ['upstream_closed unanswered']],
  ['half a head', 'HTTP/1.1 200', ['upstream_closed']],
  ['half a body', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc', ['200', 'abc', 'upstream_closed']],
  [
    'half a chunk',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\na',
    ['200', 'a', 'upstream_closed'],
  ],
  ['1xx only', 'HTTP/1.1 103 Early Hints\r\n\r\n', ['103', 'upstream_closed']],
  ['nonsense', 'nonsense\r\n\r\n', ['upstream_protocol']],
] as const) {
  test(`an application that closes after ${what} has failed, and it is told whether it had begun to answer`, async (t) => {
    const { connection } = await open(t, async (app) => {
      await app.head();
      app.end(bytes);
    });
    const exchange = new Exchange();
    connection.send(exchange, GET, 'GET', 0);
    t.deepEqual(await exchange.over, expected);
  });
}

test('a response in single bytes is read', async (t) => {
  const { connection } = await open(t, async (app) => {
    await app.head();
    for (const byte of 'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n') {
      app.write(byte);
      await new Promise(setImmediate);
    }
  });
  const exchange = new Exchange();
  connection.send(exchange, GET, 'GET', 0);
  t.deepEqual(await exchange.over, ['103', '204']);
});

test('an application that does not listen has refused', async (t) => {
  const owner = new Owner();
  new ClientConnection({ host: '127.0.0.1', port: await freePort() }, owner);
  t.is((await owner.opening.promise)?.code, 'upstream_refused');
  await owner.closing.promise;
});
