import test from 'ava';
import { CHUNKED, parseResponseHead, UNTIL_CLOSE } from '../../src/agent/http1/head.ts';
import type { WeftError } from '../../src/protocol/errors.ts';

const parse = (start: string, ...lines: string[]) => parseFor('GET', start, ...lines);
const parseFor = (method: string, start: string, ...lines: string[]) =>
  parseResponseHead(`${start}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`, method);

test('a plain response is read in full', (t) => {
  t.deepEqual(parse('HTTP/1.1 200 OK', 'Content-Length: 2', 'Set-Cookie: a', 'Set-Cookie: b'), {
    minor: 1,
    fields: ['content-length', '2', 'set-cookie', 'a', 'set-cookie', 'b'],
    bodyLength: 2,
    keepAlive: true,
    upgrade: undefined,
    connection: undefined,
    hopByHop: false,
    status: 200,
    reason: 'OK',
  });
});

test('a reason may be empty, absent, long or 8-bit', (t) => {
  t.is(parse('HTTP/1.1 200 ').reason, '');
  t.is(parse('HTTP/1.1 200').reason, '');
  t.is(parse('HTTP/1.1 404 Nicht gefunden \xfc').reason, 'Nicht gefunden \xfc');
});

test('whether a body follows depends on the status and on the method that was asked', (t) => {
  t.is(parse('HTTP/1.1 200 OK').bodyLength, UNTIL_CLOSE);
  t.is(parse('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked').bodyLength, CHUNKED);
  t.is(parseFor('HEAD', 'HTTP/1.1 200 OK', 'Content-Length: 9').bodyLength, 0);
  t.is(parseFor('HEAD', 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked').bodyLength, 0);
  t.is(parseFor('HEAD', 'HTTP/1.1 200 OK').bodyLength, 0);
  t.is(parse('HTTP/1.1 304 Not Modified', 'Content-Length: 9').bodyLength, 0);
  t.is(parse('HTTP/1.1 204 No Content').bodyLength, 0);
  t.is(parse('HTTP/1.1 204 No Content', 'Content-Length: 0').bodyLength, 0);
  t.is(parse('HTTP/1.1 103 Early Hints').bodyLength, 0);
});

test('a connection that must end with the body, or says so, is not kept', (t) => {
  t.false(parse('HTTP/1.1 200 OK').keepAlive);
  t.true(parse('HTTP/1.1 200 OK', 'Content-Length: 0').keepAlive);
  t.false(parse('HTTP/1.1 200 OK', 'Content-Length: 0', 'Connection: close').keepAlive);
  t.false(parse('HTTP/1.0 200 OK', 'Content-Length: 0').keepAlive);
  t.true(parse('HTTP/1.0 200 OK', 'Content-Length: 0', 'Connection: keep-alive').keepAlive);
  t.false(parse('HTTP/1.0 200 OK', 'Connection: keep-alive').keepAlive);
});

test('101 says what it switches to, 426 what it demands, and others nothing', (t) => {
  const upgrade = ['Connection: upgrade', 'Upgrade: websocket'];
  t.is(parse('HTTP/1.1 101 Switching', ...upgrade).upgrade, 'websocket');
  t.is(parse('HTTP/1.1 426 Upgrade Required', 'Content-Length: 0', ...upgrade).upgrade, 'websocket');
  t.is(parse('HTTP/1.1 200 OK', ...upgrade).upgrade, undefined);
});

for (const [what, start, lines] of [
  ['HTTP/2', 'HTTP/2.0 200 OK', []],
  ['two digits', 'HTTP/1.1 20 OK', []],
  ['four digits', 'HTTP/1.1 2000 OK', []],
  ['status 600', 'HTTP/1.1 600 High', []],
  ['status 099', 'HTTP/1.1 099 Low', []],
  ['two spaces', 'HTTP/1.1  200 OK', []],
  ['a tab', 'HTTP/1.1\t200 OK', []],
  ['a NUL in the reason', 'HTTP/1.1 200 O\0K', []],
  ['a bare CR in the reason', 'HTTP/1.1 200 O\rK', []],
  ['a bare LF after the status line', 'HTTP/1.1 200 OK\nA: b', []],
  ['both framings', 'HTTP/1.1 200 OK', ['Content-Length: 1', 'Transfer-Encoding: chunked']],
  ['two lengths', 'HTTP/1.1 200 OK', ['Content-Length: 1', 'Content-Length: 1']],
  ['a malformed length', 'HTTP/1.1 200 OK', ['Content-Length: 1,1']],
  ['another coding', 'HTTP/1.1 200 OK', ['Transfer-Encoding: gzip, chunked']],
  ['Transfer-Encoding in HTTP/1.0', 'HTTP/1.0 200 OK', ['Transfer-Encoding: chunked']],
  ['Transfer-Encoding with 204', 'HTTP/1.1 204 No Content', ['Transfer-Encoding: chunked']],
  ['Transfer-Encoding with 100', 'HTTP/1.1 100 Continue', ['Transfer-Encoding: chunked']],
  ['a length with 204', 'HTTP/1.1 204 No Content', ['Content-Length: 5']],
  ['101 without Upgrade', 'HTTP/1.1 101 Switching', []],
  ['101 to h2c', 'HTTP/1.1 101 Switching', ['Connection: upgrade', 'Upgrade: h2c']],
  ['a fold', 'HTTP/1.1 200 OK', ['A: b', ' c']],
  ['101 lines', 'HTTP/1.1 200 OK', Array<string>(101).fill('a: b')],
  ['over 64 KiB', 'HTTP/1.1 200 OK', [`a: ${'b'.repeat(65_536)}`]],
  ['Connection names content-length', 'HTTP/1.1 200 OK', ['Connection: content-length']],
] as [string, string, string[]][]) {
  test(`refused as upstream_protocol: ${what}`, (t) => {
    t.is(t.throws<WeftError>(() => parse(start, ...lines))?.code, 'upstream_protocol');
  });
}

test('a response head without its blank line is the upstream’s fault too', (t) => {
  const error = t.throws<WeftError>(() => parseResponseHead('HTTP/1.1 200 OK\r\nA: b\r\n', 'GET'));
  t.is(error?.code, 'upstream_protocol');
});
