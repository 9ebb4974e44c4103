import test from 'ava';
import fc from 'fast-check';
import type { RawMatch, RawRule } from '../../../src/controller/resources/http-route.ts';
import { route, rules } from '../resources/routes.ts';
import { compile, order } from './compile.ts';

const exact = (value: string, more: RawMatch = {}): RawMatch => ({ path: { type: 'Exact', value }, ...more });
const prefix = (value: string, more: RawMatch = {}): RawMatch => ({
  path: { type: 'PathPrefix', value },
  ...more,
});
const pattern = (value: string): RawMatch => ({ path: { type: 'RegularExpression', value } });
const values = (n: number) => Array.from({ length: n }, (_, at) => ({ name: `n${at}`, value: 'x' }));

/** [claim, the match that is asked first, the match that is asked after it] */
const STEPS: readonly (readonly [string, RawMatch, RawMatch])[] = [
  ['an exact path beats a longer prefix', exact('/a'), prefix('/a/b/c', { method: 'GET' })],
  ['the longer prefix beats the shorter', prefix('/a/b'), prefix('/a')],
  [
    'prefix /a/b beats /a with a method and 5 headers',
    prefix('/a/b'),
    prefix('/a', { method: 'GET', headers: values(5) }),
  ],
  ['a method beats none', prefix('/a', { method: 'GET' }), prefix('/a')],
  [
    'a method beats any number of headers',
    prefix('/a', { method: 'GET' }),
    prefix('/a', { headers: values(16) }),
  ],
  ['more headers beat fewer', prefix('/a', { headers: values(2) }), prefix('/a', { headers: values(1) })],
  [
    'one header beats any number of params',
    prefix('/a', { headers: values(1) }),
    prefix('/a', { queryParams: values(16) }),
  ],
  [
    'more params beat fewer',
    prefix('/a', { queryParams: values(2) }),
    prefix('/a', { queryParams: values(1) }),
  ],
  ['a slash at the end of a prefix counts for nothing', prefix('/a', { method: 'GET' }), prefix('/a/')],
  [
    'two spellings of a header are one',
    prefix('/a', { headers: values(2) }),
    prefix('/a', {
      headers: [
        { name: 'A', value: '1' },
        { name: 'a', value: '1' },
      ],
    }),
  ],
  ['an exact path beats a regular expression', exact('/a'), pattern('/a.*')],
  ['a regular expression beats a prefix', pattern('/.*'), prefix('/a/b/c')],
];

for (const [claim, first, second] of STEPS) {
  test(`A2: ${claim}`, (t) => {
    t.deepEqual(
      order(compile([rules({ name: 'second', matches: [second] }, { name: 'first', matches: [first] })])),
      ['first', 'second'],
    );
  });
}

test('A2: precedence is per match, over the rules of all routes', (t) => {
  const a = route({ rules: [{ name: 'a', matches: [prefix('/'), exact('/x')] }] }, { name: 'a' });
  const b = route({ rules: [{ name: 'b', matches: [prefix('/b'), exact('/y')] }] }, { name: 'b' });
  t.deepEqual(order(compile([a, b])), ['a', 'b', 'b', 'a']);
});

const aged = (name: string, creationTimestamp?: string, namespace = 'default') =>
  route({ rules: [{ name: 'r' }] }, { name, namespace, ...(creationTimestamp ? { creationTimestamp } : {}) });
const routes = (...list: ReturnType<typeof aged>[]) => compile(list).producer.rules.map((rule) => rule.route);

test('A2: the oldest route comes first, whatever the zone its time is written in', (t) => {
  t.deepEqual(routes(aged('a', '2026-01-02T00:00:00Z'), aged('b', '2026-01-01T00:00:00Z')), [
    'default/b',
    'default/a',
  ]);
  t.deepEqual(routes(aged('a', '2026-01-01T01:00:00Z'), aged('b', '2026-01-01T02:00:00+02:00')), [
    'default/b',
    'default/a',
  ]);
});

test('A2: of equal age, namespace/name decides; a route without a time is the newest', (t) => {
  const time = '2026-01-01T00:00:00Z';
  t.deepEqual(routes(aged('b', time), aged('a', time)), ['default/a', 'default/b']);
  t.deepEqual(routes(aged('a'), aged('b', time)), ['default/b', 'default/a']);
  t.deepEqual(routes(aged('b'), aged('a')), ['default/a', 'default/b']);
});

test('A2: inside a route the first rule of the list comes first', (t) => {
  t.deepEqual(order(compile([rules({ name: 'one' }, { name: 'two' })])), ['one', 'two']);
});

const anyMatch: fc.Arbitrary<RawMatch> = fc.record(
  {
    path: fc.record({
      type: fc.constantFrom('Exact', 'PathPrefix'),
      value: fc.constantFrom('/', '/a', '/b', '/a/b', '/a/b/c'),
    }),
    method: fc.constantFrom('GET', 'POST'),
    headers: fc.nat(3).map(values),
    queryParams: fc.nat(3).map(values),
  },
  { requiredKeys: [] },
);
const anyRule: fc.Arbitrary<RawRule> = fc.record({
  matches: fc.array(anyMatch, { minLength: 1, maxLength: 3 }),
});
const anyRoute = fc.record({
  time: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z'),
  rules: fc.array(anyRule, { minLength: 1, maxLength: 3 }),
});

/** A2, said a second time: one list of numbers and texts for each match, compared from left to right. */
function rank(match: RawMatch, time: string, name: string, rule: number): (number | string)[] {
  const { type = 'PathPrefix', value = '/' } = match.path ?? {};
  return [
    type === 'Exact' ? 0 : 1,
    type === 'Exact' ? 0 : -value.replace(/\/$/, '').length,
    match.method === undefined ? 1 : 0,
    -(match.headers?.length ?? 0),
    -(match.queryParams?.length ?? 0),
    time,
    name,
    rule,
  ];
}

test('A2: whatever the routes, each match is asked before all that it has precedence over', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(anyRoute, { maxLength: 4 }), (made) => {
      const list = made.map(({ time, rules: of }, at) =>
        route({ rules: of }, { name: `r${at}`, creationTimestamp: time }),
      );
      const { rules: compiled, matches } = compile(list).producer;
      t.is(matches.length, made.flatMap((one) => one.rules.flatMap((rule) => rule.matches ?? [])).length);
      const ranks = matches.map((match) => {
        const { route: of, index } = compiled[match.rule]!;
        const at = Number(of.slice('default/r'.length));
        return rank(rawOf(match), made[at]!.time, of, index);
      });
      for (let a = 0; a < ranks.length; a++) {
        for (let b = a + 1; b < ranks.length; b++) t.true(comparePair(ranks[a]!, ranks[b]!) <= 0);
      }
    }),
    { numRuns: 200 },
  );
});

function rawOf({
  path,
  method,
  headers,
  query,
}: {
  path: { type: string; value: string };
  method?: string;
  headers: readonly object[];
  query: readonly object[];
}): RawMatch {
  return {
    path,
    ...(method === undefined ? {} : { method }),
    headers: values(headers.length),
    queryParams: values(query.length),
  };
}

function comparePair(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  const at = a.findIndex((part, index) => part !== b[index]);
  if (at < 0) return 0;
  return a[at]! < b[at]! ? -1 : 1;
}

test('the order of the resources does not change the snapshot', (t) => {
  const list = ['c', 'a', 'b'].map((name) => route({ rules: [{ name }] }, { name }));
  t.is(JSON.stringify(compile(list)), JSON.stringify(compile(list.toReversed())));
});
