import test, { type ExecutionContext } from 'ava';
import { ERRORS, type ErrorCode } from '../../src/protocol/errors.ts';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { freePort } from '../kit/free-port.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const to = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const answering = (t: ExecutionContext, bytes: string): Promise<string> =>
  crossing.raw(t, async (app) => {
    await app.head();
    app.end(bytes);
  });

/** How to provoke each error: what to send to the door. */
const PROVOKED: Partial<Record<ErrorCode, (t: ExecutionContext) => Promise<string> | string>> = {
  bad_request: () => 'nonsense\r\n\r\n',
  not_a_proxy_target: () => to('www.example.com'),
  uri_too_long: () => `GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: orders\r\n\r\n`,
  expectation_failed: () => 'GET / HTTP/1.1\r\nHost: orders\r\nExpect: tea\r\n\r\n',
  head_too_large: () => `GET / HTTP/1.1\r\nHost: orders\r\n${'a: 1\r\n'.repeat(100)}\r\n`,
  not_implemented: () => 'GET / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: br, chunked\r\n\r\n',
  version_not_supported: () => 'GET / HTTP/3.0\r\nHost: orders\r\n\r\n',
  loop: () =>
    'GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\nVia: 1.1 weft-front (orders.default)\r\n\r\n',
  no_endpoint: () => to('nobody'),
  upstream_refused: async () => to(await crossing.at([await freePort()])),
  upstream_closed: async (t) => to(await answering(t, '')),
  upstream_protocol: async (t) => to(await answering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n')),
};

for (const [code, provoke] of Object.entries(PROVOKED)) {
  const entry = ERRORS[code as ErrorCode];
  test(`${code} is explained: status ${entry.status}, Proxy-Status and a problem body`, async (t) => {
    const client = await crossing.dial(t);
    client.write(await provoke(t));
    const [head, body] = (await client.rest()).split('\r\n\r\n') as [string, string];
    t.regex(head, new RegExp(`^HTTP/1.1 ${entry.status} [A-Z]`));
    t.regex(head, new RegExp(`\r\nproxy-status: weft-front; error=${entry.proxyStatus}; details="${code}: `));
    t.regex(head, /\r\ncontent-type: application\/problem\+json\r\n/);
    t.regex(head, new RegExp(`\r\ncontent-length: ${body.length}\r\n`));
    const problem: unknown = JSON.parse(body);
    t.like(problem, {
      type: `urn:weft:error:${code}`,
      title: entry.meaning,
      status: entry.status,
      code,
      retryable: entry.retryable,
      fault: entry.fault,
      agent: 'front',
    });
  });
}

test('an error in answer to HEAD has no body, and the connection goes on', async (t) => {
  const client = await crossing.dial(t);
  for (let count = 0; count < 2; count++) {
    client.write('HEAD / HTTP/1.1\r\nHost: nobody\r\n\r\n');
    t.regex(await client.head(), /^HTTP\/1.1 503 [\s\S]*\r\ncontent-length: [1-9]/);
  }
});

test('an error before the request is complete leaves the connection to the next request', async (t) => {
  const service = await crossing.http(t, (_, response) => {
    response.end();
  });
  const client = await crossing.dial(t);
  client.write('POST / HTTP/1.1\r\nHost: nobody\r\nContent-Length: 10\r\n\r\n01234');
  t.regex(await client.head(), /^HTTP\/1.1 503 /);
  client.write(`56789GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  await client.until('}\n');
  t.regex(await client.head(), /^HTTP\/1.1 200 /);
});

for (const [what, response] of [
  ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na'],
  ['a folded line', 'HTTP/1.1 200 OK\r\nA: 1\r\n b\r\nContent-Length: 0\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n'],
  ['a control character', 'HTTP/1.1 200 OK\r\nA: \x01\r\nContent-Length: 0\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nA : 1\r\nContent-Length: 0\r\n\r\n'],
  ['a body with 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na'],
  ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['no status', 'HTTP/1.1 OK\r\n\r\n'],
  ['a head that is too large', `HTTP/1.1 200 OK\r\nA: ${'a'.repeat(70_000)}`],
] as const) {
  test(`a response that could be read in two ways is not passed on: ${what}`, async (t) => {
    const service = await answering(t, response);
    const client = await crossing.dial(t);
    client.write(to(service));
    t.regex(await client.rest(), /^HTTP\/1.1 502 [\s\S]*"code":"upstream_protocol"/);
  });
}

test('a chunked response that breaks its framing is cut off, not ended', async (t) => {
  const service = await answering(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n');
  const client = await crossing.dial(t);
  client.write(to(service));
  t.notRegex(await client.rest(), /\r\n0\r\n/);
  t.true(client.broken);
});
