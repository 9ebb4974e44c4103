import test from 'ava';
import { findHeadEnd } from '../../src/agent/http1/head.ts';
import { WeftError } from '../../src/protocol/errors.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

test('the end is just after the blank line of the first of several heads', (t) => {
  const two = bytes('GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n\r\n');
  t.is(findHeadEnd(two, 0, 0), 27);
  t.is(findHeadEnd(two, 27, 27), two.length);
});

test('a head that arrives byte by byte is found, searching each byte once', (t) => {
  const whole = bytes('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  for (let length = 1; length < whole.length; length++) {
    t.is(findHeadEnd(whole.subarray(0, length), 0, length - 1), -1, `after ${length} bytes`);
  }
  t.is(findHeadEnd(whole, 0, whole.length - 1), whole.length);
});

test('the end of an earlier message is not taken for the end of this one', (t) => {
  t.is(findHeadEnd(bytes('a\r\n\r\nGET'), 5, 5), -1);
  t.is(findHeadEnd(bytes('a\r\n\r\n\r\nGET'), 5, 0), -1);
});

for (const [what, text] of [
  ['bare LF', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['bare CR', 'GET / HTTP/1.1\rHost: a'],
  ['LF first', '\nGET /'],
  ['NUL', 'GET /\0'],
  ['a TLS hello on a plain port', '\x16\x03\x01\x02\x00\x01'],
] as const) {
  test(`an unfinished head is refused at once: ${what}`, (t) => {
    t.is(t.throws<WeftError>(() => findHeadEnd(bytes(text), 0, 0))?.code, 'bad_request');
  });
}

test('a CR whose LF has not arrived yet is no fault', (t) => {
  t.is(findHeadEnd(bytes('GET / HTTP/1.1\r'), 0, 0), -1);
  t.throws(() => findHeadEnd(bytes('GET / HTTP/1.1\rX'), 0, 15), { instanceOf: WeftError });
});
