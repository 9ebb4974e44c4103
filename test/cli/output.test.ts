import test from 'ava';
import { parse } from 'yaml';
import { dataText } from '../../src/cli/output.ts';
import { printable } from '../../src/cli/printable.ts';
import { tableText } from '../../src/cli/table.ts';

const HOSTILE = { a: 'x\u001b[2J', b: 'x\u009b2J\nline', c: 'x\u007f', d: 'yes', e: '2026-01-02', f: 'on' };

test('data is written so that it is read again as it was, and no terminal obeys it', (t) => {
  for (const format of ['json', 'yaml'] as const) {
    const text = dataText(format, HOSTILE);
    t.deepEqual(parse(text), HOSTILE);
    t.notRegex(text, /[\0-\x09\x0b-\x1f\x7f-\x9f]/);
  }
  t.deepEqual(JSON.parse(dataText('json', HOSTILE)), HOSTILE);
});

test('what readers of YAML 1.1 take for something else stands in quotes', (t) => {
  const text = dataText('yaml', HOSTILE);
  for (const line of ['d: "yes"', 'e: "2026-01-02"', 'f: "on"']) t.true(text.includes(line), line);
});

test('a line for people holds no control character and no line end', (t) => {
  t.is(printable('a\u001b[31m\r\nb\u202ec'), 'a [31m b c');
});

test('a table has aligned columns, without those in which nothing stands', (t) => {
  const rows = [
    ['a', '', 'x'],
    ['long', '', ''],
  ];
  t.is(tableText(['name', 'none', 'more'], rows), 'NAME  MORE\na     x\nlong\n');
});
