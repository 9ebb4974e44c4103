import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { LIMITS } from '../../src/protocol/limits.ts';
import { quiet, startApplication, startMesh, type TestAgent, until } from '../kit/mesh.ts';

const MiB = 1024 * 1024;
const BODY_BYTES = 40 * MiB;
/** Windows of a stream, and what kernels and Node keep for the two sockets. */
const HELD_MAX = 4 * LIMITS.streamWindowBytes + 16 * MiB;

/** A body made as it is taken; it tells how much of it has been taken. */
class Source {
  taken = 0;
  readonly #hash = createHash('sha256');
  *pieces() {
    while (this.taken < BODY_BYTES) {
      const piece = Buffer.alloc(64 * 1024, this.taken / (64 * 1024));
      this.taken += piece.length;
      this.#hash.update(piece);
      yield piece;
    }
  }
  /** Writes what it has whenever `out` takes more. */
  async into(out: NodeJS.WritableStream): Promise<string> {
    for (const piece of this.pieces()) if (!out.write(piece)) await once(out, 'drain');
    out.end();
    return this.#hash.digest('hex');
  }
}

async function hashOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}

/** Resolves when `source` has come to a stand: nothing was taken for many turns of the event loop. */
async function standstill(source: Source): Promise<void> {
  let before = -1;
  let still = 0;
  await until(() => {
    still = source.taken === before ? still + 1 : 0;
    before = source.taken;
    return source.taken > 0 && still > 40;
  }, 'the writer stands still');
}

async function start(t: ExecutionContext, oneAgent: boolean, port: number): Promise<TestAgent[]> {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const serving = { service: 'orders.default', ports: [port] };
  const calling = { service: 'checkout.default', calls: true };
  if (oneAgent) return [await mesh.add('both', [serving, calling])];
  return [await mesh.add('back', [serving]), await mesh.add('front', [calling])];
}

for (const oneAgent of [false, true]) {
  const where = oneAgent ? 'on one agent' : 'across the mesh';

  test(`${where}, a caller that stops reading stops the application, and loses nothing`, async (t) => {
    const source = new Source();
    const written = Promise.withResolvers<string>();
    const orders = await startApplication((_request, response) => {
      source.into(response).then(written.resolve, written.reject);
    });
    t.teardown(orders.stop);
    const agents = await start(t, oneAgent, orders.port);
    const door = agents.at(-1)?.door as number;
    const sent = request({ host: '127.0.0.1', port: door, headers: { host: 'orders' }, agent: false });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    await standstill(source);
    t.true(source.taken < HELD_MAX, `${source.taken} bytes were taken`);
    t.is(await hashOf(response), await written.promise);
    t.is(source.taken, BODY_BYTES);
    await until(() => agents.every(({ agent }) => quiet(agent)), 'nothing is left');
  });

  test(`${where}, an application that does not read stops the caller, and loses nothing`, async (t) => {
    const source = new Source();
    const arrived = Promise.withResolvers<IncomingMessage>();
    const read = Promise.withResolvers<string>();
    const orders = await startApplication((incoming, response) => {
      arrived.resolve(incoming);
      read.promise.then((hash) => response.end(hash));
    });
    t.teardown(orders.stop);
    const agents = await start(t, oneAgent, orders.port);
    const door = agents.at(-1)?.door as number;
    const headers = { host: 'orders' };
    const sent = request({ host: '127.0.0.1', port: door, method: 'PUT', headers, agent: false });
    const written = source.into(sent);
    const incoming = await arrived.promise;
    await standstill(source);
    t.true(source.taken < HELD_MAX, `${source.taken} bytes were taken`);
    hashOf(incoming).then(read.resolve, read.reject);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of response) body += chunk;
    t.is(body, await written);
    await until(() => agents.every(({ agent }) => quiet(agent)), 'nothing is left');
  });
}

test('a reader that stands still does not hold up others between the same agents', async (t) => {
  const orders = await startApplication((incoming, response) => {
    if (incoming.url === '/big') new Source().into(response).catch(() => {});
    else response.end('ok');
  });
  t.teardown(orders.stop);
  const [, front] = await start(t, false, orders.port);
  const call = async (path: string) => {
    const options = { host: '127.0.0.1', port: front?.door, path, headers: { host: 'orders' }, agent: false };
    const sent = request(options as object);
    sent.on('error', () => {});
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response;
  };
  const standing = await Promise.all(Array.from({ length: 10 }, () => call('/big')));
  for (let count = 0; count < 50; count++) {
    const response = await call('/small');
    t.is(String((await once(response, 'data'))[0]), 'ok');
  }
  for (const response of standing) {
    response.on('error', () => {});
    response.destroy();
  }
});
