import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { ServerConnection } from '../../src/agent/http1/server-connection.ts';
import type { Stream, StreamHandler } from '../../src/agent/link/stream.ts';
import { Balancer } from '../../src/agent/outbound/balancer.ts';
import { OutboundProxy } from '../../src/agent/outbound/proxy.ts';
import { RetryBudget } from '../../src/agent/outbound/retry.ts';
import { NO_ROUTES, RouteBook } from '../../src/agent/outbound/route-book.ts';
import { type ErrorCode, WeftError } from '../../src/protocol/errors.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { Tracer } from '../../src/protocol/trace.ts';
import { NO_POLICIES } from '../kit/no-policies.ts';
import { dial, type RawPeer } from '../kit/raw-peer.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';
import { TestClock } from '../kit/time.ts';

/** One try of the request: what has been sent on its stream, and how to answer it. */
class Try implements Stream {
  readonly peer = 'back';
  readonly handler: StreamHandler;
  body = '';
  readonly #ended = Promise.withResolvers<string>();
  /** Resolves with the whole body. */
  readonly ended = this.#ended.promise;

  constructor(handler: StreamHandler) {
    this.handler = handler;
  }
  sendInformational(): void {}
  sendResponse(): void {}
  sendData(chunk: Buffer): boolean {
    this.body += chunk.toString('latin1');
    return true;
  }
  sendEnd(): void {
    this.#ended.resolve(this.body);
  }
  reset(): void {}
  consumed(): void {}
  release(): void {}
  requireEvidence(): void {}

  refuse(code: ErrorCode = 'upstream_refused'): void {
    this.handler.streamReset(new WeftError(code, 'by the test'));
  }
}

/**
 * A door whose streams the test answers itself. `next` resolves with the next try that is made; `wait` lets the
 * longest wait for it pass; `tickLagMs`: how far the clock of the ticks is behind then.
 */
async function open(
  t: ExecutionContext,
): Promise<{ client: RawPeer; tries: Try[]; next(): Promise<Try>; wait(tickLagMs?: number): void }> {
  const tries: Try[] = [];
  let made = Promise.withResolvers<Try>();
  const workloads = ['checkout.default'];
  const { seed } = createRoot();
  const keyring = createRootKeyring({
    rootSeed: seed,
    mesh: 'test',
    agent: 'front',
    workloads,
    now: Date.now,
  });
  const clock = new TestClock();
  const { now } = clock;
  const proxy = new OutboundProxy(
    {
      agent: 'front',
      open(_service, _endpoint, _head, last, handler) {
        const attempt = new Try(handler);
        if (last) attempt.sendEnd();
        tries.push(attempt);
        made.resolve(attempt);
        made = Promise.withResolvers();
        return attempt;
      },
      balancer: new Balancer(keyring.verify(keyring.document), new Set(), now),
      routes: new RouteBook(NO_ROUTES, now),
      authorization: NO_POLICIES,
      wake() {},
      budget: new RetryBudget(now),
      tracer: new Tracer(),
      recorder: { ended() {}, retried() {} },
      now,
      wallMs: now,
      random: () => 1,
      failed() {},
    },
    'checkout.default',
    () => {},
  );
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    new ServerConnection(socket, proxy, now);
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const client = await dial((server.address() as AddressInfo).port);
  t.teardown(() => client.socket.destroy());
  return {
    client,
    tries,
    next: () => made.promise,
    wait(tickLagMs = 0) {
      clock.nowMs += LIMITS.backoffCapMs;
      proxy.tick(clock.nowMs - tickLagMs);
    },
  };
}

const post = (...lines: string[]): string =>
  ['POST / HTTP/1.1', 'Host: orders', ...lines, '', ''].join('\r\n');

test('a request that no application has seen is sent again with its body', async (t) => {
  const { client, next, wait } = await open(t);
  const first = next();
  client.write(`${post('Content-Length: 4')}body`);
  t.is(await (await first).ended, 'body');
  const again = next();
  (await first).refuse();
  wait();
  const attempt = await again;
  t.is(await attempt.ended, 'body');
  attempt.handler.streamResponse('200 OK\r\ncontent-length: 0\r\n', true);
  t.regex(await client.head(), /^HTTP\/1.1 200 /);
});

test('a body that goes on while its request waits for another try arrives whole', async (t) => {
  const { client, next, wait } = await open(t);
  const first = next();
  client.write(`${post('Transfer-Encoding: chunked')}2710\r\n${'a'.repeat(10_000)}\r\n`);
  const attempt = await first;
  while (attempt.body.length < 10_000) await new Promise(setImmediate);
  const again = next();
  attempt.refuse();
  // More than is kept, so that it must not be taken before the next try begins.
  client.write(`ea60\r\n${'b'.repeat(60_000)}\r\n0\r\n\r\n`);
  while (client.socket.writableLength > 0) await new Promise(setImmediate);
  wait();
  t.true((await (await again).ended) === 'a'.repeat(10_000) + 'b'.repeat(60_000));
});

test('a body that is larger than what is kept is not sent again', async (t) => {
  const { client, next, tries } = await open(t);
  const first = next();
  client.write(`${post('Content-Length: 100000')}${'a'.repeat(100_000)}`);
  await (await first).ended;
  (await first).refuse();
  t.regex(await client.head(), /^HTTP\/1.1 503 [\s\S]*upstream_refused/);
  t.is(tries.length, 1);
});

test('a request is tried twice at most, and once if an application may have seen it', async (t) => {
  for (const [code, count] of [
    ['upstream_refused', 2],
    ['upstream_closed', 1],
  ] as const) {
    const { client, next, tries, wait } = await open(t);
    let attempt = next();
    client.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n');
    for (let at = 0; at < count; at++) {
      const made = await attempt;
      attempt = next();
      made.refuse(code);
      wait();
    }
    t.regex(await client.head(), new RegExp(`${code}: by the test`));
    t.is(tries.length, count);
  }
});

test('a request waits for another try until its time has come, and not longer', async (t) => {
  const { client, next, tries, wait } = await open(t);
  const first = next();
  client.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n');
  (await first).refuse();
  const again = next();
  t.is(tries.length, 1);
  wait();
  t.is(tries.length, 2);
  wait();
  t.is(tries.length, 2);
  (await again).handler.streamResponse('200 OK\r\ncontent-length: 0\r\n', true);
  t.regex(await client.head(), /^HTTP\/1.1 200 /);
});

test('the pause before another try is not made longer by a clock of the ticks that lags behind', async (t) => {
  const { client, next, tries, wait } = await open(t);
  const first = next();
  client.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n');
  (await first).refuse();
  t.is(tries.length, 1);
  wait(10_000);
  t.is(tries.length, 2);
});
