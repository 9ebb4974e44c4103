import test from 'ava';
import fc from 'fast-check';
import { CHUNKED, parseRequestHead } from '../../src/agent/http1/head.ts';
import type { ErrorCode, WeftError } from '../../src/protocol/errors.ts';

const parse = (start: string, ...lines: string[]) =>
  parseRequestHead(`${start}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
const get = (...lines: string[]) => parse('GET / HTTP/1.1', 'Host: a', ...lines);
const post = (...lines: string[]) => parse('POST / HTTP/1.1', 'Host: a', ...lines);

test('a plain request is read in full', (t) => {
  t.deepEqual(parse('GET /a?b=c HTTP/1.1', 'Host: orders:80', 'X-A: 1', 'x-a: 2'), {
    minor: 1,
    fields: ['host', 'orders:80', 'x-a', '1', 'x-a', '2'],
    bodyLength: 0,
    keepAlive: true,
    upgrade: undefined,
    connection: undefined,
    hopByHop: false,
    method: 'GET',
    target: '/a?b=c',
    path: '/a?b=c',
    host: 'orders:80',
    expectContinue: false,
  });
});

test('any token is a method and passes as it is', (t) => {
  for (const method of ['GET', 'get', 'PURGE', 'M-SEARCH', 'X!#$%']) {
    t.is(parse(`${method} / HTTP/1.1`, 'Host: a').method, method);
  }
});

test('the four forms of a target', (t) => {
  const of = (method: string, target: string) => {
    const { path, host, target: asSent } = parse(`${method} ${target} HTTP/1.1`, 'Host: h');
    t.is(asSent, target);
    return [host, path];
  };
  t.deepEqual(of('GET', '/x?y'), ['h', '/x?y']);
  t.deepEqual(of('GET', '//x'), ['h', '//x']);
  t.deepEqual(of('GET', 'http://orders:80/x?y'), ['orders:80', '/x?y']);
  t.deepEqual(of('GET', 'HTTP://orders'), ['orders', '/']);
  t.deepEqual(of('GET', 'http://orders?y'), ['orders', '/?y']);
  t.deepEqual(of('GET', 'http://[::1]:80/'), ['[::1]:80', '/']);
  t.deepEqual(of('OPTIONS', '*'), ['h', '*']);
  t.deepEqual(of('OPTIONS', 'http://orders'), ['orders', '*']);
  t.deepEqual(of('CONNECT', 'orders:443'), ['orders:443', '']);
});

test('the connection persists by version and by Connection', (t) => {
  const keeps = (version: string, ...lines: string[]) =>
    parse(`GET / HTTP/${version}`, 'Host: a', ...lines).keepAlive;
  t.true(keeps('1.1'));
  t.false(keeps('1.1', 'Connection: close'));
  t.false(keeps('1.1', 'Connection: x, CLOSE'));
  t.false(keeps('1.1', 'Connection: keep-alive', 'Connection: close'));
  t.false(keeps('1.0'));
  t.true(keeps('1.0', 'Connection: Keep-Alive'));
  t.false(keeps('1.0', 'Connection: keep-alive, close'));
  t.true(keeps('1.2'));
});

test('the tokens of all Connection lines are listed, empty elements ignored', (t) => {
  t.deepEqual(get('Connection: , A ,,b', 'connection: c').connection, ['a', 'b', 'c']);
  t.deepEqual(get('Connection:').connection, []);
});

test('HTTP/1.0 may come without Host, HTTP/1.1 may not', (t) => {
  t.is(parse('GET / HTTP/1.0').host, '');
  t.is(t.throws<WeftError>(() => parse('GET / HTTP/1.1'))?.code, 'bad_request');
});

test('body lengths', (t) => {
  t.is(get().bodyLength, 0);
  t.is(post('Content-Length: 0').bodyLength, 0);
  t.is(post('Content-Length:  42 ').bodyLength, 42);
  t.is(get('Content-Length: 3').bodyLength, 3);
  t.is(post('Transfer-Encoding: chunked').bodyLength, CHUNKED);
  t.is(post('transfer-encoding:\tChunked ').bodyLength, CHUNKED);
});

test('an upgrade counts if Connection lists it, in HTTP/1.1, and never to another HTTP', (t) => {
  t.is(get('Connection: keep-alive, Upgrade', 'Upgrade: websocket').upgrade, 'websocket');
  t.is(get('Connection: upgrade', 'Upgrade: a', 'Upgrade: b').upgrade, 'a, b');
  t.is(get('Upgrade: websocket').upgrade, undefined);
  t.is(get('Connection: upgrade').upgrade, undefined);
  t.is(get('Connection: upgrade, http2-settings', 'Upgrade: h2c').upgrade, undefined);
  t.is(get('Connection: upgrade', 'Upgrade: websocket, h2c').upgrade, undefined);
  t.is(parse('GET / HTTP/1.0', 'Host: a', 'Connection: upgrade', 'Upgrade: websocket').upgrade, undefined);
});

test('Expect: 100-continue is told, and ignored from HTTP/1.0', (t) => {
  t.true(post('Expect: 100-Continue').expectContinue);
  t.false(post().expectContinue);
  t.false(parse('POST / HTTP/1.0', 'Expect: 100-continue').expectContinue);
});

const refused: [string, ErrorCode, string][] = [
  ['no version (HTTP/0.9)', 'bad_request', 'GET /\r\n\r\n'],
  ['two spaces after the method', 'bad_request', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['two spaces before the version', 'bad_request', 'GET /  HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space after the version', 'bad_request', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n'],
  ['a space before the method', 'bad_request', ' GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['tabs between', 'bad_request', 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an empty line first', 'bad_request', '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an empty target', 'bad_request', 'GET  HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method that is no token', 'bad_request', 'G@T / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a bare LF after the request line', 'bad_request', 'GET / HTTP/1.1\nHost: a\r\n\r\n'],
  ['a bare CR after the request line', 'bad_request', 'GET / HTTP/1.1\rHost: a\r\n\r\n'],
  ['a NUL in the target', 'bad_request', 'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an 8-bit target', 'bad_request', 'GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a fragment', 'bad_request', 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a relative target', 'bad_request', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['another scheme', 'bad_request', 'GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['userinfo in the target', 'bad_request', 'GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['no authority in the target', 'bad_request', 'GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a backslash in the authority', 'bad_request', 'GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['* without OPTIONS', 'bad_request', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['CONNECT with a path', 'bad_request', 'CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['CONNECT without a port', 'bad_request', 'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/1.10', 'bad_request', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n'],
  ['http/1.1', 'bad_request', 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  ['another protocol', 'bad_request', 'GET / ICE/1.0\r\nHost: a\r\n\r\n'],
  ['HTTP/2.0', 'version_not_supported', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['the preface of HTTP/2', 'version_not_supported', 'PRI * HTTP/2.0\r\n\r\n'],
  ['a target over 8 KiB', 'uri_too_long', `GET /${'a'.repeat(8192)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['a head over 64 KiB', 'head_too_large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(65_536)}\r\n\r\n`],
  ['101 lines', 'head_too_large', `GET / HTTP/1.1\r\nHost: a\r\n${'x: y\r\n'.repeat(100)}\r\n`],
  ['two Hosts', 'bad_request', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
  ['an empty Host', 'bad_request', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
  ['a list of Hosts', 'bad_request', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n'],
  ['userinfo in Host', 'bad_request', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n'],
  ['a path in Host', 'bad_request', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  ['a bad Host under an absolute target', 'bad_request', 'GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n'],
  ['a blank line too many', 'bad_request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n'],
  ['no blank line', 'bad_request', 'GET / HTTP/1.1\r\nHost: a\r\n'],
];
for (const [what, code, text] of refused) {
  test(`refused as ${code}: ${what}`, (t) => {
    t.is(t.throws<WeftError>(() => parseRequestHead(text))?.code, code);
  });
}

const refusedLines: [string, ErrorCode, string[]][] = [
  [
    'Content-Length and Transfer-Encoding',
    'bad_request',
    ['Content-Length: 3', 'Transfer-Encoding: chunked'],
  ],
  ['two differing lengths', 'bad_request', ['Content-Length: 3', 'Content-Length: 4']],
  ['two equal lengths', 'bad_request', ['Content-Length: 3', 'Content-Length: 3']],
  ['a list of lengths', 'bad_request', ['Content-Length: 3, 3']],
  ['a signed length', 'bad_request', ['Content-Length: +3']],
  ['a hexadecimal length', 'bad_request', ['Content-Length: 0x3']],
  ['an empty length', 'bad_request', ['Content-Length:']],
  ['a length of 2^53', 'bad_request', ['Content-Length: 9007199254740992']],
  ['two Transfer-Encodings', 'bad_request', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
  [
    'a coding and chunked in two lines',
    'bad_request',
    ['Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'],
  ],
  ['chunked twice', 'bad_request', ['Transfer-Encoding: chunked, chunked']],
  ['chunked not last', 'bad_request', ['Transfer-Encoding: chunked, gzip']],
  ['no chunked', 'bad_request', ['Transfer-Encoding: gzip']],
  ['identity', 'bad_request', ['Transfer-Encoding: identity']],
  ['an empty Transfer-Encoding', 'bad_request', ['Transfer-Encoding:']],
  ['almost chunked', 'bad_request', ['Transfer-Encoding: xchunked']],
  ['chunked with a parameter', 'bad_request', ['Transfer-Encoding: chunked;a=b']],
  ['chunked in quotes', 'bad_request', ['Transfer-Encoding: "chunked"']],
  ['chunked after a comma only', 'bad_request', ['Transfer-Encoding: ,chunked']],
  ['a second coding', 'not_implemented', ['Transfer-Encoding: gzip, chunked']],
  ['another expectation', 'expectation_failed', ['Expect: 200-ok']],
  ['two expectations', 'expectation_failed', ['Expect: 100-continue, x']],
  ['a fold', 'bad_request', ['X: a', ' b']],
  ['a space before a colon', 'bad_request', ['Content-Length : 3']],
  ['a control character', 'bad_request', ['X: a\x0bb']],
  ['no token in Connection', 'bad_request', ['Connection: a b']],
  ['an 8-bit space in Connection', 'bad_request', ['Connection: \xa0close']],
  ['Connection names host', 'bad_request', ['Connection: close, Host']],
  ['Connection names content-length', 'bad_request', ['Connection: content-length']],
  ['Connection names authorization', 'bad_request', ['Connection: authorization']],
  ['Connection names x-forwarded-for', 'bad_request', ['Connection: X-Forwarded-For']],
  ['Connection names weft_caller', 'bad_request', ['Connection: weft_caller']],
  ['Connection names too many', 'bad_request', [`Connection: ${'a,'.repeat(100)}a`]],
];
for (const [what, code, lines] of refusedLines) {
  test(`refused as ${code}: ${what}`, (t) => {
    t.is(t.throws<WeftError>(() => post(...lines))?.code, code);
  });
}

test('Transfer-Encoding from HTTP/1.0 is refused', (t) => {
  const error = t.throws<WeftError>(() => parse('POST / HTTP/1.0', 'Host: a', 'Transfer-Encoding: chunked'));
  t.is(error?.code, 'bad_request');
});

test('one byte changed in a good head gives a clean head or the protocol’s own error', (t) => {
  const good = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: x, close\r\nX: y\r\n\r\n';
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const text = good.slice(0, at) + String.fromCharCode(byte) + good.slice(at + 1);
      try {
        const { fields } = parseRequestHead(text);
        t.is(fields.length % 2, 0);
        t.notRegex(fields.join(''), /[\r\n\0]/);
      } catch (error) {
        t.is((error as Error).name, 'WeftError', text);
      }
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
