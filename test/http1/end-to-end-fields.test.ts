import test from 'ava';
import { endToEndFields, parseRequestHead, parseResponseHead } from '../../src/agent/http1/head.ts';

const request = (start: string, ...lines: string[]) =>
  endToEndFields(parseRequestHead(`${start}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`));
const get = (...lines: string[]) => request('GET / HTTP/1.1', 'Host: a', ...lines).slice(2);
const response = (start: string, ...lines: string[]) =>
  endToEndFields(parseResponseHead(`${start}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`, 'GET'));

test('order, repetition and bytes are kept', (t) => {
  t.deepEqual(get('B: \xe4', 'A: 1', 'B: 2', 'Connection: keep-alive', 'C: 3'), [
    ...['b', '\xe4', 'a', '1', 'b', '2', 'c', '3'],
  ]);
});

test('a head with nothing of this hop is handed on as it is', (t) => {
  const head = parseRequestHead('GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n');
  t.is(endToEndFields(head), head.fields);
});

test('the fields of this hop end here, whether or not Connection names them', (t) => {
  t.deepEqual(
    get(
      ...['Connection: close', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'TE: gzip'],
      ...['Upgrade: websocket', 'Proxy-Authorization: Basic x', 'X: y'],
    ),
    ['x', 'y'],
  );
  t.deepEqual(request('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked', 'Trailer: x'), [
    ...['host', 'a', 'trailer', 'x'],
  ]);
  t.deepEqual(response('HTTP/1.1 407 No', 'Content-Length: 0', 'Proxy-Authenticate: Basic'), [
    'content-length',
    '0',
  ]);
});

test('what Connection names ends here, every line of it', (t) => {
  t.deepEqual(get('X-Hop: 1', 'Connection: X-Hop, keep-alive', 'x-hop: 2', 'X: y', 'connection: z', 'Z: 1'), [
    'x',
    'y',
  ]);
});

test('an upgrade travels if it is asked for, and none to another HTTP', (t) => {
  t.deepEqual(get('Connection: Upgrade', 'Upgrade: WebSocket', 'X: y'), ['upgrade', 'WebSocket', 'x', 'y']);
  t.deepEqual(get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: x'), []);
  t.deepEqual(response('HTTP/1.1 101 S', 'Connection: upgrade', 'Upgrade: a'), ['upgrade', 'a']);
  t.deepEqual(response('HTTP/1.1 200 OK', 'Connection: upgrade', 'Upgrade: a', 'Content-Length: 0'), [
    ...['content-length', '0'],
  ]);
});

test('te travels as trailers only, once', (t) => {
  t.deepEqual(get('TE: gzip;q=0.5, Trailers', 'Connection: TE', 'te: trailers'), ['te', 'trailers']);
  t.deepEqual(get('TE: trailers, deflate'), ['te', 'trailers']);
  t.deepEqual(get('TE: xtrailers'), []);
});

test('the authority of an absolute target replaces Host, or stands first where there is none', (t) => {
  t.deepEqual(request('GET http://orders/ HTTP/1.1', 'X: y', 'Host: other'), ['x', 'y', 'host', 'orders']);
  t.deepEqual(request('GET http://orders/ HTTP/1.0', 'X: y'), ['host', 'orders', 'x', 'y']);
});

test('an expectation of HTTP/1.0 does not travel, one of HTTP/1.1 does', (t) => {
  t.deepEqual(request('POST / HTTP/1.0', 'Expect: 100-continue', 'X: y'), ['x', 'y']);
  t.deepEqual(get('Expect: 100-continue'), ['expect', '100-continue']);
});

test('a length that a 204 should not have does not travel; that of a 304 does', (t) => {
  t.deepEqual(response('HTTP/1.1 204 No', 'Content-Length: 0', 'X: y'), ['x', 'y']);
  t.deepEqual(response('HTTP/1.1 304 Not', 'Content-Length: 7'), ['content-length', '7']);
});
