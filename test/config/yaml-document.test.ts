import test from 'ava';
import fc from 'fast-check';
import { readAgentConfig } from '../../src/agent/config.ts';
import { ConfigError } from '../../src/protocol/config-fault.ts';
import { faultsOf } from './faults.ts';

const read = (text: string) => () => readAgentConfig(text, 'agent.yaml');
const first = (text: string) => faultsOf(read(text))[0];

test('a key that stands twice is refused where it stands again', (t) => {
  const fault = first('mesh: a\nhost: b\nmesh: c\n');
  t.is(fault?.line, 3);
  t.is(fault?.found, 'the key "mesh" again');
});

test('tags are refused, on maps and on scalars', (t) => {
  for (const text of ['mesh: !!binary aGk=', 'mesh: !foo x', 'mesh: !!set { a }', '!!map {mesh: a}']) {
    t.regex(first(text)?.found ?? '', /^the tag /, text);
  }
});

test('aliases that multiply are refused before they are built', (t) => {
  let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 12; i++)
    bomb += `a${i}: &a${i} [${Array(10)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`;
  t.regex(first(bomb)?.found ?? '', /^what cannot be read \(Excessive alias count/);
});

test('an alias of nothing is refused', (t) => {
  t.regex(first('mesh: *nowhere')?.found ?? '', /Unresolved alias/);
});

test('a document that is too large or too deep is refused', (t) => {
  t.is(first('#'.repeat(1024 * 1024 + 1))?.expected, 'at most 1 MiB');
  t.truthy(first('['.repeat(20_000)));
  t.truthy(first('- '.repeat(20_000)));
});

test('many wrong fields do not make many pages', (t) => {
  const text = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n');
  t.true(faultsOf(read(text)).length <= 100);
});

test('several documents in one file are refused', (t) => {
  t.regex(first('a: 1\n---\nb: 2\n')?.found ?? '', /a second document/);
});

test('a name that objects inherit is not mistaken for a field', (t) => {
  const found = faultsOf(read('__proto__: { mesh: a }\nconstructor: 1\n')).map(({ field }) => field);
  t.true(found.includes('mesh') && found.includes('constructor'));
});

test('whatever the text, there is a configuration or a list of faults', (t) => {
  const piece = fc.constantFrom(
    'mesh: a\n',
    'host: b\n',
    '  - ',
    '{',
    '}',
    '[',
    ']',
    ': ',
    '&a ',
    '*a',
    '!',
    '"',
    "'",
    '\t',
    '|',
    '? ',
    '#',
    '\0',
    '%',
  );
  const text = fc.array(fc.oneof(piece, fc.string({ maxLength: 8 })), { maxLength: 40 });
  fc.assert(
    fc.property(text, (pieces) => {
      t.notThrows(() => faultsOf(read(pieces.join(''))));
    }),
    { numRuns: 200 },
  );
  t.throws(read(''), { instanceOf: ConfigError });
});
