import test from 'ava';
import fc from 'fast-check';
import { BodyDecoder } from '../../src/agent/http1/body.ts';
import { CHUNK_END, chunkStart, lastChunk } from '../../src/agent/http1/chunk.ts';
import { CHUNKED, UNTIL_CLOSE } from '../../src/agent/http1/head.ts';
import type { WeftError } from '../../src/protocol/errors.ts';
import type { Fields } from '../../src/protocol/fields.ts';

class Collector {
  text = '';
  ends = 0;
  trailers: Fields | undefined;
  bodyData(chunk: Buffer): void {
    if (chunk.length === 0) throw new Error('empty data');
    this.text += chunk.toString('latin1');
  }
  bodyEnd(trailers: Fields | undefined): void {
    this.ends++;
    this.trailers = trailers;
  }
}

/** Decodes `wire` in pieces of `step` bytes; `left` is what was not of the body. */
function decode(bodyLength: number, wire: string, step = wire.length) {
  const sink = new Collector();
  const decoder = new BodyDecoder('bad_request');
  decoder.start(bodyLength, sink);
  const bytes = Buffer.from(wire, 'latin1');
  let at = 0;
  while (at < bytes.length && !decoder.done) {
    const to = Math.min(bytes.length, at + step);
    at = decoder.push(bytes, at, to);
    if (at < to) break;
  }
  return { sink, decoder, left: wire.slice(at) };
}

test('a body of known length ends at its last byte, and what follows is left', (t) => {
  for (const step of [1, 2, 100]) {
    const { sink, decoder, left } = decode(5, 'abcdeGET', step);
    t.is(sink.text, 'abcde');
    t.is(sink.ends, 1);
    t.true(decoder.done);
    t.is(left, 'GET');
  }
});

test('a body of length 0 is done at once and calls nothing', (t) => {
  const { sink, decoder, left } = decode(0, 'GET');
  t.true(decoder.done);
  t.is(sink.ends, 0);
  t.is(left, 'GET');
  t.true(decoder.closed());
});

test('a body until close ends when the connection does', (t) => {
  const { sink, decoder } = decode(UNTIL_CLOSE, 'abc', 1);
  t.is(sink.ends, 0);
  t.true(decoder.closed());
  t.is(sink.ends, 1);
  t.is(sink.text, 'abc');
});

test('a message that is cut short is told from one that is whole', (t) => {
  t.false(decode(5, 'abc').decoder.closed());
  t.true(decode(3, 'abc').decoder.closed());
  for (const cut of [
    '',
    '3',
    '3\r\n',
    '3\r\nab',
    '3\r\nabc',
    '3\r\nabc\r\n',
    '0',
    '0\r\n',
    '0\r\nA: b\r\n',
    '0\r\n\r',
  ]) {
    const { sink, decoder } = decode(CHUNKED, cut);
    t.false(decoder.closed(), JSON.stringify(cut));
    t.is(sink.ends, 0);
  }
});

test('chunks are decoded however the bytes are cut', (t) => {
  const wire =
    '3\r\nabc\r\nA;x="y"\r\n0123456789\r\n000; a = "\\"\xe4;" ;b\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\nGET';
  for (let step = 1; step <= wire.length; step++) {
    const { sink, left } = decode(CHUNKED, wire, step);
    t.is(sink.text, 'abc0123456789');
    t.deepEqual(sink.trailers, ['x-sum', '1', 'x-sum', '2']);
    t.is(sink.ends, 1);
    t.is(left, 'GET');
  }
});

test('what the writer writes, the decoder reads', (t) => {
  const chunks = fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }), { maxLength: 8 });
  const trailers = fc.constantFrom<Fields | undefined>(undefined, ['a', 'b', 'c', '']);
  fc.assert(
    fc.property(chunks, trailers, fc.integer({ min: 1, max: 20 }), (texts, last, step) => {
      const wire = texts.map((text) => chunkStart(text.length) + text + CHUNK_END).join('') + lastChunk(last);
      const { sink, left } = decode(CHUNKED, wire, step);
      t.is(sink.text, texts.join(''));
      t.deepEqual(sink.trailers, last);
      t.is(sink.ends, 1);
      t.is(left, '');
    }),
  );
  t.pass();
});

test('a decoder is used again for the next message', (t) => {
  const sink = new Collector();
  const decoder = new BodyDecoder('bad_request');
  const bytes = Buffer.from('1\r\na\r\n0\r\nT: x\r\n\r\n1\r\nb\r\n0\r\n\r\ncd', 'latin1');
  decoder.start(CHUNKED, sink);
  const second = decoder.push(bytes, 0, bytes.length);
  t.deepEqual(sink.trailers, ['t', 'x']);
  decoder.start(CHUNKED, sink);
  const third = decoder.push(bytes, second, bytes.length);
  t.is(sink.trailers, undefined);
  decoder.start(2, sink);
  t.is(decoder.push(bytes, third, bytes.length), bytes.length);
  t.is(sink.text, 'abcd');
  t.is(sink.ends, 3);
});

test('the sink may start the next body from within the end of this one', (t) => {
  const decoder = new BodyDecoder('bad_request');
  const second = new Collector();
  decoder.start(1, { bodyData() {}, bodyEnd: () => decoder.start(1, second) });
  const bytes = Buffer.from('ab');
  t.is(decoder.push(bytes, 0, 2), 2);
  t.is(second.text, 'b');
});

test('data are views of the bytes, not copies', (t) => {
  const bytes = Buffer.from('3\r\nabc\r\n');
  const decoder = new BodyDecoder('bad_request');
  decoder.start(CHUNKED, { bodyData: (chunk) => t.is(chunk.buffer, bytes.buffer), bodyEnd() {} });
  decoder.push(bytes, 0, bytes.length);
  t.plan(1);
});

test('trailers that may not travel are left out', (t) => {
  const { sink } = decode(CHUNKED, '0\r\nContent-Length: 5\r\nAuthorization: x\r\nGrpc-Status: 0\r\n\r\n');
  t.deepEqual(sink.trailers, ['grpc-status', '0']);
  t.is(decode(CHUNKED, '0\r\nHost: x\r\n\r\n').sink.trailers, undefined);
});

for (const [what, wire] of [
  ['no size', '\r\n'],
  ['a size that is not hexadecimal', 'g\r\n'],
  ['a size with 0x', '0x3\r\nabc\r\n'],
  ['a size with a sign', '+3\r\nabc\r\n'],
  ['a negative size', '-1\r\n'],
  ['a space before a size', ' 3\r\nabc\r\n'],
  ['a space after a size', '3 \r\nabc\r\n'],
  ['an underscore in a size', '1_0\r\n'],
  ['a size above 2^53', '20000000000000\r\n'],
  ['a size that would wrap at 2^64', '10000000000000001\r\n'],
  ['a bare LF after a size', '3\nabc\r\n'],
  ['a bare CR after a size', '3\rabc\r\n'],
  ['a bare LF in an extension', '3;a\nabc\r\n'],
  ['a CR in an extension', '3;a\rb\r\nabc\r\n'],
  ['a NUL in an extension', '3;\0\r\nabc\r\n'],
  ['an 8-bit extension', '3;\xe4\r\nabc\r\n'],
  ['an extension without a name', '3;\r\nabc\r\n'],
  ['an extension with an open quote', '3;a="b\r\nabc\r\n'],
  ['a size line over 256 bytes', `3;${'x'.repeat(255)}\r\n`],
  ['a size of very many zeros', `${'0'.repeat(300)}\r\n`],
  ['a chunk longer than its size', '3\r\nabcd\r\n'],
  ['a chunk shorter than its size', '3\r\nab\r\n0\r\n\r\n'],
  ['a bare LF after a chunk', '3\r\nabc\n0\r\n\r\n'],
  ['a bare LF after the last chunk', '0\r\n\n'],
  ['a bare LF after a trailer', '0\r\nA: b\n\r\n'],
  ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n'],
  ['a trailer without a colon', '0\r\nGET / HTTP/1.1\r\n\r\n'],
  ['a control character in a trailer', '0\r\nA: \x01\r\n\r\n'],
] as const) {
  test(`refused, in one piece and byte by byte: ${what}`, (t) => {
    for (const step of [wire.length, 1]) {
      t.is(t.throws<WeftError>(() => decode(CHUNKED, wire, step))?.code, 'bad_request');
    }
  });
}

test('the largest size is read exactly', (t) => {
  t.notThrows(() => decode(CHUNKED, '1fffffffffffff\r\n'));
  t.notThrows(() => decode(CHUNKED, '001fffffffffffff\r\n'));
});

test('trailers have the limits of a head, and are refused before they are whole', (t) => {
  const large = `0\r\nA: ${'b'.repeat(65_536)}`;
  t.is(t.throws<WeftError>(() => decode(CHUNKED, large))?.code, 'head_too_large');
  t.is(t.throws<WeftError>(() => decode(CHUNKED, large, 1_000))?.code, 'head_too_large');
  t.is(
    t.throws<WeftError>(() => decode(CHUNKED, `0\r\n${'a: b\r\n'.repeat(101)}\r\n`))?.code,
    'head_too_large',
  );
});
