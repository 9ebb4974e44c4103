import test from 'ava';
import fc from 'fast-check';
import { isAuthority } from '../../src/protocol/authority.ts';
import { parseContentLength } from '../../src/protocol/content-length.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import {
  decodeRequestHead,
  decodeResponseHead,
  decodeTrailers,
  encodeRequestHead,
  encodeResponseHead,
} from '../../src/protocol/head.ts';
import { isServiceName } from '../../src/protocol/names.ts';
import { isReservedField } from '../../src/protocol/reserved-field.ts';
import { isPassableUpgrade } from '../../src/protocol/upgrade.ts';
import { service } from './arbitraries.ts';

const fields = fc
  .array(
    fc.tuple(fc.stringMatching(/^x-[a-z0-9]{1,12}$/), fc.stringMatching(/^(?:[!-~](?:[ -~]{0,20}[!-~])?)?$/)),
    {
      maxLength: 20,
    },
  )
  .map((pairs) => pairs.flat());

test('what is encoded as a request head is decoded again', (t) => {
  fc.assert(
    fc.property(
      fc.record({
        method: fc.constantFrom('GET', 'POST', 'PURGE', 'm-search'),
        target: fc.stringMatching(/^\/[!"$-~]{0,40}$/),
        service,
        caller: fc.option(service, { nil: undefined }),
        deadlineMs: fc.option(fc.nat(), { nil: undefined }),
        fields,
      }),
      (head) =>
        t.deepEqual(decodeRequestHead(encodeRequestHead(head)), { ...head, contentLength: undefined }),
    ),
  );
  t.pass();
});

test('what is encoded as a response head is decoded again, with and without a reason', (t) => {
  const head = fc.record({
    status: fc.integer({ min: 100, max: 599 }),
    reason: fc.constantFrom('', 'OK', 'Très bien', 'a\tb'),
    fields,
  });
  fc.assert(
    fc.property(head, (given) =>
      t.deepEqual(decodeResponseHead(encodeResponseHead(given)), { ...given, contentLength: undefined }),
    ),
  );
  t.pass();
});

test('the service of a head obeys the same rule as every service name', (t) => {
  const almost = fc.stringMatching(/^[a-zA-Z0-9.-]{1,8}$/);
  fc.assert(
    fc.property(fc.oneof(service, almost), (name) => {
      const decode = () => decodeRequestHead(`GET / ${name} - -\r\n`);
      if (isServiceName(name)) t.is(decode().service, name);
      else t.throws(decode, { instanceOf: WeftError });
    }),
  );
  const longest = `${'a'.repeat(63)}.${'b'.repeat(63)}`;
  t.is(decodeRequestHead(`GET / ${longest} ${longest} 1\r\n`).caller, longest);
  t.throws(() => decodeRequestHead(`GET / ${'a'.repeat(64)}.b - -\r\n`), { instanceOf: WeftError });
});

test('a deadline is rounded down and never negative', (t) => {
  const head = { method: 'GET', target: '/', service: 'a.b', caller: undefined, fields: [] };
  t.is(encodeRequestHead({ ...head, deadlineMs: 12.9 }), 'GET / a.b - 12\r\n');
  t.is(encodeRequestHead({ ...head, deadlineMs: -3 }), 'GET / a.b - 0\r\n');
});

test('content-length is announced as a number', (t) => {
  t.is(decodeRequestHead('PUT / a.b - -\r\ncontent-length: 5\r\n').contentLength, 5);
  t.is(decodeResponseHead('304 \r\ncontent-length: 9\r\n').contentLength, 9);
});

for (const [what, text] of [
  ['an empty text', ''],
  ['no end of line', 'GET / a.b - -'],
  ['a missing word', 'GET / a.b -\r\n'],
  ['a word too many', 'GET / a.b - - -\r\n'],
  ['two spaces', 'GET  / a.b - -\r\n'],
  ['a method that is no token', 'G(T / a.b - -\r\n'],
  ['an absolute target', 'GET http://a/ a.b - -\r\n'],
  ['a fragment', 'GET /#x a.b - -\r\n'],
  ['an 8-bit target', 'GET /\xe4 a.b - -\r\n'],
  ['* without OPTIONS', 'GET * a.b - -\r\n'],
  ['a service without namespace', 'GET / a - -\r\n'],
  ['no service', 'GET / - - -\r\n'],
  ['a caller without namespace', 'GET / a.b c -\r\n'],
  ['a deadline with a sign', 'GET / a.b - +5\r\n'],
  ['a deadline in hexadecimal', 'GET / a.b - 0x5\r\n'],
  ['a deadline beyond all reason', 'GET / a.b - 99999999999\r\n'],
  ['a target over 8 KiB', `GET /${'a'.repeat(8192)} a.b - -\r\n`],
  ['connection', 'GET / a.b - -\r\nconnection: close\r\n'],
  ['keep-alive', 'GET / a.b - -\r\nkeep-alive: 5\r\n'],
  ['proxy-connection', 'GET / a.b - -\r\nproxy-connection: close\r\n'],
  ['proxy-authorization', 'GET / a.b - -\r\nproxy-authorization: Basic eA==\r\n'],
  ['proxy-authenticate', 'GET / a.b - -\r\nproxy-authenticate: Basic\r\n'],
  ['transfer-encoding', 'GET / a.b - -\r\ntransfer-encoding: chunked\r\n'],
  ['Transfer-Encoding in capitals', 'GET / a.b - -\r\nTRANSFER-ENCODING: chunked\r\n'],
  ['two hosts', 'GET / a.b - -\r\nhost: a\r\nhost: a\r\n'],
  ['a malformed host', 'GET / a.b - -\r\nhost: a@b\r\n'],
  ['two lengths', 'GET / a.b - -\r\ncontent-length: 1\r\ncontent-length: 1\r\n'],
  ['a malformed length', 'GET / a.b - -\r\ncontent-length: 1, 1\r\n'],
  ['te beside trailers', 'GET / a.b - -\r\nte: gzip, trailers\r\n'],
  ['an upgrade to another HTTP', 'GET / a.b - -\r\nupgrade: h2c\r\n'],
  ['a blank line', 'GET / a.b - -\r\n\r\n'],
  ['a folded line', 'GET / a.b - -\r\na: b\r\n c\r\n'],
  ['117 lines', `GET / a.b - -\r\n${'a: b\r\n'.repeat(117)}`],
  ['72 KiB', `GET / a.b - -\r\na: ${'b'.repeat(72 * 1024)}\r\n`],
] as const) {
  test(`a request head from the bus is refused: ${what}`, (t) => {
    t.is(t.throws<WeftError>(() => decodeRequestHead(text))?.code, 'stream_protocol');
  });
}

for (const [what, text] of [
  ['no status', ' OK\r\n'],
  ['status 99', '099 Low\r\n'],
  ['status 600', '600 High\r\n'],
  ['no space', '200\r\n'],
  ['a control character in the reason', '200 O\x01K\r\n'],
  ['a bare LF', '200 OK\n'],
  ['transfer-encoding', '200 OK\r\ntransfer-encoding: chunked\r\n'],
  ['a length for 204', '204 \r\ncontent-length: 0\r\n'],
  ['a length for 103', '103 \r\ncontent-length: 0\r\n'],
] as const) {
  test(`a response head from the bus is refused: ${what}`, (t) => {
    t.is(t.throws<WeftError>(() => decodeResponseHead(text))?.code, 'stream_protocol');
  });
}

test('a head at the limits of a socket still passes with what the agents add', (t) => {
  const text = `GET / a.b - -\r\n${'a: b\r\n'.repeat(116)}`;
  t.is(decodeRequestHead(text).fields.length, 232);
  t.notThrows(() => decodeRequestHead(`GET / a.b - -\r\na: ${'b'.repeat(65_536)}\r\n`));
});

test('trailers lose what may not stand in them', (t) => {
  t.deepEqual(decodeTrailers('grpc-status: 0\r\nContent-Length: 5\r\nx-sum: 1\r\nweft-caller: me\r\n'), [
    ...['grpc-status', '0'],
    ...['x-sum', '1'],
  ]);
  t.is(
    decodeTrailers('host: a\r\ntransfer-encoding: chunked\r\nif-match: x\r\nx-forwarded-for: y\r\n'),
    undefined,
  );
  t.is(decodeTrailers(''), undefined);
  t.is(t.throws<WeftError>(() => decodeTrailers('a\r\n'))?.code, 'stream_protocol');
});

test('any text decodes or is refused by the protocol’s own error', (t) => {
  const text = fc.string({ unit: 'binary-ascii', maxLength: 120 });
  const pieces = fc.array(
    fc.oneof(text, fc.constantFrom('GET', ' ', '/', 'a.b', '-', '\r\n', '200', ': ', 'host', 'te')),
    { maxLength: 16 },
  );
  fc.assert(
    fc.property(pieces, (parts) => {
      for (const decode of [decodeRequestHead, decodeResponseHead, decodeTrailers]) {
        try {
          decode(parts.join(''));
        } catch (error) {
          t.true(error instanceof WeftError);
        }
      }
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

test('an authority is a host with or without a port', (t) => {
  for (const good of ['orders', 'a.b-c', 'a:', 'a:80', 'a:65535', '10.0.0.1:80', '[::1]', '[::1]:8080']) {
    t.true(isAuthority(good), good);
  }
  for (const bad of [
    ...[
      '',
      ':80',
      'a:65536',
      'a:99999',
      'a:123456',
      'a:8o',
      'a:80:80',
      'u@a',
      'a,b',
      'a b',
      'a/b',
      'a\\b',
      'a?b',
    ],
    ...['[::1', '::1', '[::g]', '[::1]x', 'a%2eb', 'ä', 'a'.repeat(262), 'a\n'],
  ]) {
    t.false(isAuthority(bad), JSON.stringify(bad));
  }
});

test('a length is decimal digits below 2^53', (t) => {
  t.is(parseContentLength('0'), 0);
  t.is(parseContentLength('042'), 42);
  t.is(parseContentLength('9007199254740991'), Number.MAX_SAFE_INTEGER);
  for (const bad of [
    ...['', '-1', '+1', '0x5', '1e3', '1.0', '1 ', ' 1', '5, 5', '5,5', '١', '9007199254740992'],
    ...['99999999999999999999', '00000000000000001'],
  ]) {
    t.is(parseContentLength(bad), -1, bad);
  }
});

test('no upgrade leads to another HTTP', (t) => {
  for (const good of ['websocket', 'WebSocket', 'tcp', 'SPDY/3.1']) t.true(isPassableUpgrade(good), good);
  for (const bad of [
    '',
    'h2c',
    'H2C',
    'websocket, h2c',
    'h2c,websocket',
    'HTTP/2.0',
    'TLS/1.0, HTTP/1.1',
    'h2',
  ]) {
    t.false(isPassableUpgrade(bad), bad);
  }
});

test('a reserved name is reserved with any separator', (t) => {
  for (const name of ['weft-caller', 'weft_caller', 'weft.caller', 'weft'])
    t.true(isReservedField(name), name);
  for (const name of ['weftage', 'x-weft-caller', 'host']) t.false(isReservedField(name), name);
});
