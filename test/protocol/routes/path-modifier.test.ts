import test from 'ava';
import fc from 'fast-check';
import { modifyPath } from '../../../src/protocol/routes/path-modifier.ts';
import { PREFIX_TABLE } from './prefix-table.ts';

const replacePrefix = (prefix: string, value: string) =>
  ({ type: 'ReplacePrefixMatch', prefix, value }) as const;
const replaceAll = (value: string) => ({ type: 'ReplaceFullPath', value }) as const;

test('A4: a prefix is replaced element by element, by the table of the specification', (t) => {
  for (const [path, prefix, value, expected] of [
    ...PREFIX_TABLE,
    ['/bar', '/', '/xyz', '/xyz/bar'],
    ['/foo//evil.example', '/foo', '/', '/evil.example'],
    ['/foobar', '/foo', '/xyz', '/foobar'],
    ['*', '/', '/xyz', '*'],
  ] as const) {
    t.is(modifyPath(path, replacePrefix(prefix, value)), expected, `${path} ${prefix} ${value}`);
  }
});

test('A4: a full path is replaced whatever it was', (t) => {
  t.is(modifyPath('/a/b', replaceAll('/c')), '/c');
  t.is(modifyPath('/a/b', replaceAll('')), '/');
  t.is(modifyPath('/a/b', replaceAll('c')), '/c');
  t.is(modifyPath('/a/b', replaceAll('//c')), '/c');
});

test('a modifier cannot end the path or the line: what may not stand there is encoded', (t) => {
  t.is(modifyPath('/a', replaceAll('/x y?z#\r\nHost: b')), '/x%20y%3Fz%23%0D%0AHost:%20b');
  t.is(modifyPath('/a/b', replacePrefix('/a', '/ü\r\n')), '/%C3%BC%0D%0A/b');
});

test('whatever a modifier holds, the result is a path with one slash at its start', (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  fc.assert(
    fc.property(text, text, fc.boolean(), (value, rest, full) => {
      const path = `/a/${encodeURIComponent(rest.toWellFormed())}`;
      const modified = modifyPath(path, full ? replaceAll(value) : replacePrefix('/a', value));
      return /^\/(?!\/)[!"$->@-~]*$/.test(modified);
    }),
  );
  t.pass();
});
