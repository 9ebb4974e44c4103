import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import {
  ServerConnection,
  type ServerExchange,
  type ServerHandler,
} from '../../src/agent/http1/server-connection.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { TestClock } from '../kit/time.ts';

const SILENT: ServerExchange = {
  requestData() {},
  requestEnd() {},
  requestAborted() {},
  responseDrained() {},
};

/** A connection that answers nothing by itself, and its client. */
async function start(t: ExecutionContext, unixPath?: string) {
  const clock = new TestClock();
  const closed = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const handler: ServerHandler = {
    request() {
      asked.resolve();
      return SILENT;
    },
    refuse() {},
    brokenOff() {},
    connectRefusal: () => undefined,
    closed: () => closed.resolve(),
  };
  const connected = Promise.withResolvers<ServerConnection>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connected.resolve(new ServerConnection(socket, handler, clock.now));
  }).listen(unixPath === undefined ? { port: 0, host: '127.0.0.1' } : { path: unixPath });
  await once(server, 'listening');
  const client = connect(
    unixPath === undefined ? { port: (server.address() as AddressInfo).port } : { path: unixPath },
  ).on('error', () => {});
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  const connection = await connected.promise;
  return { clock, connection, client, asked: asked.promise, closed: closed.promise };
}

test('a connection that is broken off while it ends is closed all the same', async (t) => {
  const { connection, closed } = await start(t);
  connection.drain();
  connection.abort();
  await closed;
  t.pass();
});

test('a connection whose reader stands still is closed at once when it is broken off', async (t) => {
  const { connection, client, asked, closed } = await start(t);
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await asked;
  const bytes = Buffer.alloc(16 * 1024 * 1024);
  connection.respond(200, 'OK', [], 2 * bytes.length, false);
  connection.write(bytes);
  connection.abort();
  await closed;
  t.pass();
});

test('a connection on a Unix socket is broken off too', async (t) => {
  const { connection, closed } = await start(t, `${await tempFolder(t)}/door.sock`);
  connection.abort();
  await closed;
  t.pass();
});

for (const body of ['', 'a part of']) {
  const what = body === '' ? 'the request is complete' : 'it sends';
  test(`whoever reads slowly gets all of a response that ends the connection, while ${what}`, async (t) => {
    const { clock, connection, client, asked } = await start(t);
    const length = body.length * 2;
    client.write(
      `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${length}\r\n\r\n${body}`,
    );
    await asked;
    // More than the kernel takes.
    const bytes = Buffer.alloc(16 * 1024 * 1024);
    connection.respond(200, 'OK', [], bytes.length, false);
    connection.write(bytes);
    connection.end(undefined);
    clock.nowMs += 10 * LIMITS.discardMs;
    connection.expire(clock.nowMs);
    let read = 0;
    for await (const chunk of client) read += chunk.length;
    t.true(read > bytes.length);
  });
}
