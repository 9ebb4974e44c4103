import test from 'ava';
import fc from 'fast-check';
import { WeftError } from '../../src/protocol/errors.ts';
import { fieldsText, fieldValue, isToken, parseFields } from '../../src/protocol/fields.ts';

const TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
const fieldName = fc.string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 24 });
/** Tabs, visible ASCII and 8-bit, without blanks at either end. */
const fieldText = fc
  .string({
    unit: fc
      .integer({ min: 0x1f, max: 0xff })
      .filter((byte) => byte !== 0x7f)
      .map((byte) => String.fromCharCode(byte === 0x1f ? 9 : byte)),
    maxLength: 60,
  })
  .map((text) => text.replace(/^[\t ]+|[\t ]+$/g, ''));
const fields = fc.array(fc.tuple(fieldName, fieldText), { maxLength: 30 }).map((pairs) => pairs.flat());

test('order, repetition and every byte of a value survive', (t) => {
  fc.assert(fc.property(fields, (given) => t.deepEqual(parseFields(fieldsText(given), 0), given)));
  t.pass();
});

test('names come out in lower case, whatever the bytes of the values', (t) => {
  const parsed = parseFields('X-A: \xc0\xdf\xff\r\nx-a:B\r\nHOST: Orders\r\n', 0);
  t.deepEqual(parsed, ['x-a', '\xc0\xdf\xff', 'x-a', 'B', 'host', 'Orders']);
});

test('blanks around a value go, blanks inside stay', (t) => {
  t.deepEqual(parseFields('a: \t b \t c\t \r\nb:\r\nc: \t \r\n', 0), ['a', 'b \t c', 'b', '', 'c', '']);
});

test('lines are read from one index to another', (t) => {
  t.deepEqual(parseFields('GET /\r\na: 1\r\n\r\n', 7, 13), ['a', '1']);
  t.deepEqual(parseFields('GET /\r\n\r\n', 7, 7), []);
});

for (const [what, text] of [
  ['a folded line', 'a: b\r\n c\r\n'],
  ['a line that starts with a tab', '\ta: b\r\n'],
  ['a space before the colon', 'a : b\r\n'],
  ['a tab before the colon', 'a\t: b\r\n'],
  ['a space in the name', 'a b: c\r\n'],
  ['an empty name', ': b\r\n'],
  ['no colon', 'ab\r\n'],
  ['an empty line in between', 'a: b\r\n\r\nc: d\r\n'],
  ['a bare LF after a value', 'a: b\nc: d\r\n'],
  ['a bare CR in a value', 'a: b\rc: d\r\n'],
  ['a bare CR at the end', 'a: b\r'],
  ['CR CR LF', 'a: b\r\r\n'],
  ['no end of line', 'a: b'],
  ['an 8-bit name', '\xe4: b\r\n'],
  ['a NUL in a name', 'a\0: b\r\n'],
  ['a parenthesis in a name', 'a(b): c\r\n'],
] as const) {
  test(`refused: ${what}`, (t) => {
    const error = t.throws(() => parseFields(text, 0), { instanceOf: WeftError });
    t.is(error?.code, 'bad_request');
  });
}

test('every control character but tab is refused in a value and in a name', (t) => {
  for (let byte = 0; byte <= 0x7f; byte++) {
    if ((byte >= 0x20 && byte !== 0x7f) || byte === 9) continue;
    const char = String.fromCharCode(byte);
    t.throws(() => parseFields(`a: b${char}c\r\n`, 0), { instanceOf: WeftError }, `value with ${byte}`);
    t.throws(() => parseFields(`a${char}: b\r\n`, 0), { instanceOf: WeftError }, `name with ${byte}`);
  }
});

test('an error says where, and repeats nothing of the head', (t) => {
  const error = t.throws(() => parseFields('a: b\r\nauthorization : s3cret\r\n', 0), {
    instanceOf: WeftError,
  });
  t.regex(error?.message ?? '', /byte 6 .* space before its colon/);
  t.notRegex(error?.message ?? '', /s3cret/);
});

test('the fault and the limit of lines are the caller’s', (t) => {
  const lines = (count: number) => 'a: b\r\n'.repeat(count);
  t.is(parseFields(lines(100), 0).length, 200);
  t.is(t.throws<WeftError>(() => parseFields(lines(101), 0))?.code, 'head_too_large');
  const upstream = t.throws<WeftError>(() => parseFields(lines(101), 0, undefined, 'upstream_protocol'));
  t.is(upstream?.code, 'upstream_protocol');
  t.is(parseFields(lines(116), 0, undefined, 'stream_protocol', 116).length, 232);
});

test('a value is found by name, the first of several', (t) => {
  t.is(fieldValue(['a', '1', 'b', '2', 'b', '3'], 'b'), '2');
  t.is(fieldValue(['a', 'b'], 'b'), undefined);
});

test('a token is one or more of the characters of RFC 9110', (t) => {
  for (const good of ['GET', 'x', TOKEN]) t.true(isToken(good));
  for (const bad of ['', 'a b', 'a:', 'a\n', 'a/b', 'ä', '"']) t.false(isToken(bad), JSON.stringify(bad));
});
