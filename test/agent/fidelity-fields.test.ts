import test from 'ava';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { headerLines } from '../kit/raw-peer.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

/** Sends a request head of these lines and returns the head that the application got, and the response head. */
async function cross(
  t: Parameters<Crossing['dial']>[0],
  lines: readonly string[],
  response = OK,
): Promise<{ service: string; request: string; response: string }> {
  const seen = Promise.withResolvers<string>();
  const service = await crossing.raw(t, async (app) => {
    seen.resolve(await app.head());
    app.write(response);
  });
  const client = await crossing.dial(t);
  client.write(['GET /a?b=%20c HTTP/1.1', `Host: ${service}`, ...lines, '', ''].join('\r\n'));
  return { service, request: await seen.promise, response: await client.head() };
}

/** Lines that the mesh adds to every request. */
const ADDED = /^(?:x-forwarded-(?:for|proto|host)|via|weft-caller|traceparent):/;
const EVERY_BYTE = Array.from({ length: 0x80 }, (_, at) => String.fromCharCode(0x80 + at)).join('');

test('header lines of a request keep order, repetition and every byte of their values', async (t) => {
  const { service, request } = await cross(t, [
    'X-B: 2',
    'Accept: a',
    'x-b: 1',
    `X-Bytes: ${EVERY_BYTE}`,
    'X-Empty:',
    'X-Tab: a\tb  c',
    'accept: b',
    'Cookie: a=1',
    'Cookie: b=2',
  ]);
  t.is(request.slice(0, request.indexOf('\r\n')), 'GET /a?b=%20c HTTP/1.1');
  t.deepEqual(
    headerLines(request).filter((line) => !ADDED.test(line)),
    [
      `host: ${service}`,
      'x-b: 2',
      'accept: a',
      'x-b: 1',
      `x-bytes: ${EVERY_BYTE}`,
      'x-empty: ',
      'x-tab: a\tb  c',
      'accept: b',
      'cookie: a=1',
      'cookie: b=2',
    ],
  );
});

test('header lines of a response keep order, repetition and every byte of their values', async (t) => {
  const { response } = await cross(
    t,
    [],
    `HTTP/1.1 299 Sehr sch\xf6n\r\nSet-Cookie: a=1; Path=/\r\nX-Z: ${EVERY_BYTE}\r\nset-cookie: b=2\r\n` +
      'Server: x/1\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n',
  );
  t.is(
    response,
    `HTTP/1.1 299 Sehr sch\xf6n\r\nset-cookie: a=1; Path=/\r\nx-z: ${EVERY_BYTE}\r\nset-cookie: b=2\r\n` +
      'server: x/1\r\ndate: Tue, 01 Jan 2030 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n',
  );
});

test('a target reaches the application byte for byte', async (t) => {
  const seen = Promise.withResolvers<string>();
  const service = await crossing.raw(t, async (app) => {
    seen.resolve(await app.head());
    app.write(OK);
  });
  const client = await crossing.dial(t);
  const target = '/a/../b//c;p=1/%2e%2E/%zz?q=[x]&r={y}|\'"<>^`\\';
  client.write(`GET ${target} HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.true((await seen.promise).startsWith(`GET ${target} HTTP/1.1\r\n`));
});

test('fields of one hop do not reach the application, nor those that Connection names', async (t) => {
  const { request } = await cross(t, [
    'Connection: keep-alive, X-Hop',
    'Connection: x-hop-2',
    'X-Hop: 1',
    'X-Hop-2: 2',
    'X-Stays: 3',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic eA==',
    'TE: gzip;q=0.5',
    'Upgrade: websocket',
  ]);
  const names = headerLines(request).map((line) => line.slice(0, line.indexOf(':')));
  t.deepEqual(
    names.filter((name) => !ADDED.test(`${name}:`)),
    ['host', 'x-stays'],
  );
});

test('fields of one hop do not come back, nor those that Connection names', async (t) => {
  const { response } = await cross(
    t,
    [],
    'HTTP/1.1 200 OK\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Stays: 1\r\n' +
      'Proxy-Connection: close\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n',
  );
  t.is(response, 'HTTP/1.1 200 OK\r\nx-stays: 1\r\ncontent-length: 0\r\n\r\n');
});

test('te: trailers travels, as the one coding that every hop here carries', async (t) => {
  const { request } = await cross(t, ['TE: deflate, trailers', 'Connection: te']);
  t.true(headerLines(request).includes('te: trailers'));
  t.true(headerLines(request).includes('connection: te'));
});

test('the application learns who calls, from where and how, whatever the request claims', async (t) => {
  const { service, request } = await cross(t, [
    'Weft-Caller: spiffe://test/ns/default/sa/admin',
    'weft-anything: x',
    'X-Forwarded-Client-Cert: By=spiffe://test/forged',
  ]);
  const added = headerLines(request).filter((line) => !line.startsWith('host:'));
  t.true(added.pop()?.startsWith('weft-caller:'));
  t.deepEqual(
    added.filter((line) => !line.startsWith('traceparent:')),
    [
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-proto: http',
      `x-forwarded-host: ${service}`,
      `via: 1.1 weft-front (${service}.default)`,
    ],
  );
  t.true(headerLines(request).includes('weft-caller: spiffe://test/ns/default/sa/checkout'));
  t.notRegex(request, /admin|weft-anything|forged/);
});

test('what earlier proxies have said about the request is kept and added to', async (t) => {
  const { service, request } = await cross(t, [
    'X-Forwarded-For: 10.0.0.1',
    'X-Forwarded-For: 10.0.0.2',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: shop.example',
    'Via: 1.0 fred',
  ]);
  const lines = headerLines(request);
  t.true(lines.includes('x-forwarded-for: 10.0.0.1, 10.0.0.2, 127.0.0.1'));
  t.true(lines.includes(`via: 1.0 fred, 1.1 weft-front (${service}.default)`));
  t.deepEqual(
    lines.filter((line) => /^x-forwarded-(?:proto|host)/.test(line)),
    ['x-forwarded-proto: https', 'x-forwarded-host: shop.example'],
  );
});
