import test from 'ava';
import fc from 'fast-check';
import { unifiedDiff } from '../../src/cli/line-diff.ts';

const NAMES = ['a', 'b'] as const;

test('what is the same has no diff', (t) => {
  t.is(unifiedDiff('a\nb\n', 'a\nb\n', NAMES), '');
});

test('changes stand in hunks with three lines around them', (t) => {
  const lines = Array.from({ length: 20 }, (_, at) => `${at + 1}`);
  const changed = lines.with(4, 'five').toSpliced(15, 1);
  const diff = unifiedDiff(`${lines.join('\n')}\n`, `${changed.join('\n')}\n`, NAMES);
  const hunks = [
    '@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n',
    '@@ -13,7 +13,6 @@\n 13\n 14\n 15\n-16\n 17\n 18\n 19\n',
  ];
  t.is(diff, `--- a\n+++ b\n${hunks.join('')}`);
});

test('a text that is new stands there as a whole', (t) => {
  t.is(unifiedDiff('', 'x\ny\n', NAMES), '--- a\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n');
});

test('a diff leads from the one text to the other', (t) => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 40 });
  const asText = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
  fc.assert(
    fc.property(text, text, (before, after) => {
      t.deepEqual(patched(before, unifiedDiff(asText(before), asText(after), NAMES)), after);
    }),
  );
});

/** As `patch` does it: by the line numbers, comparing what is kept and what is taken out. */
function patched(before: readonly string[], diff: string): string[] {
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const [, start, count] = /^@@ -(\d+)(?:,(\d+))? /.exec(line) ?? [];
    if (start !== undefined) {
      const first = Number(start) - (count === '0' ? 0 : 1);
      out.push(...before.slice(at, first));
      at = first;
    } else if (line[0] === '+') out.push(line.slice(1));
    else {
      if (before[at] !== line.slice(1)) throw new Error(`line ${at + 1} is not ${line}`);
      if (line[0] === ' ') out.push(line.slice(1));
      at += 1;
    }
  }
  return [...out, ...before.slice(at)];
}
