import test from 'ava';
import { LIMITS } from '../../src/protocol/limits.ts';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { startApplication } from '../kit/mesh.ts';

let crossing: Crossing;
let application: Awaited<ReturnType<typeof startApplication>>;
let service: string;
/** Targets of the requests that have reached the application, and of those that were complete there. */
const begun: (string | undefined)[] = [];
const complete: (string | undefined)[] = [];
test.before(async () => {
  crossing = await startCrossing();
  application = await startApplication((request, response) => {
    begun.push(request.url);
    request
      .on('error', () => {})
      .on('end', () => {
        complete.push(request.url);
        response.end();
      });
    request.resume();
  });
  service = await crossing.at([application.port]);
});
test.after.always(async () => {
  await crossing.mesh.stop();
  application.stop();
});

const get = (...lines: string[]): string =>
  ['GET / HTTP/1.1', 'Host: SERVICE', ...lines, '', ''].join('\r\n');
const post = (...lines: string[]): string => ['POST / HTTP/1.1', 'Host: SERVICE', ...lines].join('\r\n');

/** What no proxy should pass on: the next hop could read it differently, or it is there to exhaust somebody. */
const REFUSED: readonly (readonly [what: string, text: string, status?: number])[] = [
  ['both framings', post('Content-Length: 4', 'Transfer-Encoding: chunked', '', '0', '', '')],
  [
    'both framings, the other order',
    post('Transfer-Encoding: chunked', 'Content-Length: 4', '', '0', '', ''),
  ],
  ['differing Content-Length', post('Content-Length: 4', 'Content-Length: 5', '', 'abcde')],
  ['repeated Content-Length', post('Content-Length: 4', 'Content-Length: 4', '', 'abcd')],
  ['a list as Content-Length', post('Content-Length: 4, 4', '', 'abcd')],
  ['a signed Content-Length', post('Content-Length: +4', '', 'abcd')],
  ['a negative Content-Length', post('Content-Length: -1', '', '')],
  ['a hexadecimal Content-Length', post('Content-Length: 0x4', '', 'abcd')],
  ['an empty Content-Length', post('Content-Length:', '', '')],
  ['a huge Content-Length', post('Content-Length: 99999999999999999999', '', '')],
  ['a Content-Length with a space inside', post('Content-Length: 4 4', '', 'abcd')],
  ['a coding after chunked', post('Transfer-Encoding: chunked, gzip', '', '0', '', '')],
  ['an unknown coding alone', post('Transfer-Encoding: xchunked', '', '0', '', '')],
  ['identity', post('Transfer-Encoding: identity', '', '')],
  ['chunked twice', post('Transfer-Encoding: chunked, chunked', '', '0', '', '')],
  [
    'Transfer-Encoding repeated',
    post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked', '', '0', '', ''),
  ],
  ['Transfer-Encoding with a vertical tab', post('Transfer-Encoding: \x0bchunked', '', '0', '', '')],
  [
    'Transfer-Encoding in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: SERVICE\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a coding that is not carried', post('Transfer-Encoding: gzip, chunked', '', '0', '', ''), 501],
  ['obs-fold', get('X-A: 1', ' folded')],
  ['obs-fold in the first line', 'GET / HTTP/1.1\r\n Host: SERVICE\r\n\r\n'],
  ['a tab fold', get('X-A: 1', '\tfolded')],
  ['a bare CR in a value', get('X-A: 1\rX-B: 2')],
  ['a bare LF in a value', get('X-A: 1\nX-B: 2')],
  ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: SERVICE\r\n\r\n'],
  ['bare LF line ends', 'GET / HTTP/1.1\nHost: SERVICE\n\n'],
  ['CR CR LF', get('X-A: 1\r')],
  ['a space before the colon', get('X-A : 1')],
  ['a space before the colon of Transfer-Encoding', post('Transfer-Encoding : chunked', '', '0', '', '')],
  ['a line without a colon', get('X-A')],
  ['a line without a name', get(': 1')],
  ['NUL in a value', get('X-A: a\0b')],
  ['NUL in a name', get('X-\0A: b')],
  ['a control character in a value', get('X-A: \x01')],
  ['DEL in a value', get('X-A: \x7f')],
  ['an 8-bit byte in a name', get('X-\xe4: 1')],
  ['a parenthesis in a name', get('X(A): 1')],
  ['no Host', 'GET / HTTP/1.1\r\nX-A: 1\r\n\r\n'],
  ['two Hosts', get('Host: SERVICE')],
  ['Host with a path', 'GET / HTTP/1.1\r\nHost: SERVICE/x\r\n\r\n'],
  ['Host with a user', 'GET / HTTP/1.1\r\nHost: a@SERVICE\r\n\r\n'],
  ['Host with a comma', 'GET / HTTP/1.1\r\nHost: SERVICE,SERVICE\r\n\r\n'],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
  ['two spaces in the request line', 'GET  / HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['a leading space', ' GET / HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['a trailing space in the request line', 'GET / HTTP/1.1 \r\nHost: SERVICE\r\n\r\n'],
  ['a tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['an 8-bit byte in the target', 'GET /\xe4 HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['a fragment in the target', 'GET /a#b HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['a target that is no path', 'GET a HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['an https target', 'GET https://SERVICE/ HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['* for GET', 'GET * HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['a method that is no token', 'G(T / HTTP/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['no version', 'GET /\r\nHost: SERVICE\r\n\r\n'],
  ['a lower-case version', 'GET / http/1.1\r\nHost: SERVICE\r\n\r\n'],
  ['a version with two digits', 'GET / HTTP/1.10\r\nHost: SERVICE\r\n\r\n'],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: SERVICE\r\n\r\n', 505],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['two empty lines before the request', `\r\n\r\n${get()}`],
  ['Connection that names Content-Length', post('Connection: content-length', 'Content-Length: 1', '', 'a')],
  ['Connection that names what identifies the caller', get('Connection: x-forwarded-for')],
  ['Connection that is no token', get('Connection: a b')],
  ['an expectation that is not 100-continue', get('Expect: 200-ok'), 417],
  ['a long target', `GET /${'a'.repeat(LIMITS.targetBytesMax)} HTTP/1.1\r\nHost: SERVICE\r\n\r\n`, 414],
  ['too many header lines', get(...Array.from({ length: LIMITS.headerLinesMax }, () => 'A: 1')), 431],
  ['a head that is too large', get(`A: ${'a'.repeat(LIMITS.headBytesMax)}`), 431],
  [
    'a head that is too large and never ends',
    `${get().slice(0, -2)}A: ${'a'.repeat(LIMITS.headBytesMax)}`,
    431,
  ],
];

for (const [what, text, status = 400] of REFUSED) {
  test(`refused with ${status}, and nothing reaches the application: ${what}`, async (t) => {
    const client = await crossing.dial(t);
    client.write(`${text.replaceAll('SERVICE', service)}GET /smuggled HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
    const answer = await client.rest();
    t.regex(answer, new RegExp(`^HTTP/1.1 ${status} `));
    t.is(answer.match(/HTTP\/1\.1 [0-9]{3} /g)?.length, 1);
    t.regex(answer, /\r\nconnection: close\r\n/);
    t.false(begun.includes('/') || begun.includes('/smuggled'));
  });
}

/** The head of these is fine, so that the application may have seen it; the body must never look complete. */
for (const [what, body] of [
  ['a chunk size that is no number', 'x\r\n'],
  ['an empty chunk size', '\r\n'],
  ['a signed chunk size', '+1\r\na\r\n0\r\n\r\n'],
  ['a chunk size with 0x', '0x1\r\na\r\n0\r\n\r\n'],
  ['a chunk size after a space', ' 1\r\na\r\n0\r\n\r\n'],
  ['a chunk size before a space', '1 \r\na\r\n0\r\n\r\n'],
  ['an overflowing chunk size', 'fffffffffffffffff\r\na'],
  ['a chunk that is longer than its size', '1\r\nab\r\n0\r\n\r\n'],
  ['a chunk that ends in a bare LF', '1\r\na\n0\r\n\r\n'],
  ['a chunk size that ends in a bare LF', '1\na\r\n0\r\n\r\n'],
  ['a bare LF in a chunk extension', '1;a\nb\r\na\r\n0\r\n\r\n'],
  ['a chunk extension that never ends', `1;${'a'.repeat(LIMITS.chunkLineBytesMax)}`],
  ['a folded trailer', '0\r\nA: 1\r\n b\r\n\r\n'],
  ['a trailer with a bare CR', '0\r\nA: 1\rB: 2\r\n\r\n'],
  ['a trailer with a space before the colon', '0\r\nA : 1\r\n\r\n'],
] as const) {
  test(`a body with ${what} is refused and never complete at the application`, async (t) => {
    const path = `/${encodeURIComponent(what)}`;
    const client = await crossing.dial(t);
    client.write(`POST ${path} HTTP/1.1\r\nHost: ${service}\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
    client.write(`GET /smuggled HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
    const answer = await client.rest();
    t.regex(answer, /^HTTP\/1.1 400 /);
    t.is(answer.match(/HTTP\/1\.1 [0-9]{3} /g)?.length, 1);
    t.false(complete.includes(path) || begun.includes('/smuggled'));
  });
}

test('a request after a HEAD on the same connection is refused like any other', async (t) => {
  const client = await crossing.dial(t);
  client.write(`HEAD /head HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.regex(await client.head(), /^HTTP\/1.1 200 /);
  client.write('nonsense\r\n\r\n');
  t.regex(await client.rest(), /^HTTP\/1.1 400 [\s\S]*"code":"bad_request"/);
});
