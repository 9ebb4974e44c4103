import test from 'ava';
import fc from 'fast-check';
import { explainRequest } from '../../../src/protocol/routes/explain.ts';
import type { MatchedRequest } from '../../../src/protocol/routes/match-test.ts';
import { createRouteTable } from '../../../src/protocol/routes/route-table.ts';
import type { Match } from '../../../src/protocol/snapshot.ts';
import { exactly, pattern, prefix, routeSet, value } from './routes.ts';

function request(rest: Partial<MatchedRequest> = {}): MatchedRequest {
  return { method: 'GET', path: '/', query: '', fields: [], port: 80, ...rest };
}

/** True if a match is met by a request. */
function fits(one: Partial<Match>, asked: Partial<MatchedRequest>): boolean {
  return createRouteTable(routeSet([one, {}])).find(request(asked)) !== undefined;
}

/** Which of these matches, in the order of precedence, a request is served by. */
function winner(matches: readonly Partial<Match>[], asked: Partial<MatchedRequest>): number | undefined {
  return createRouteTable(routeSet(...matches.map((one) => [one, {}] as const))).find(request(asked))?.index;
}

test('A3: an exact path is case sensitive, and a slash at its end counts', (t) => {
  t.true(fits({ path: exactly('/abc') }, { path: '/abc' }));
  for (const path of ['/abc/', '/Abc', '/ab', '/abc/d', '/'])
    t.false(fits({ path: exactly('/abc') }, { path }), path);
});

test('A3: the prefixes /abc and /abc/ are matched by /abc, /abc/ and /abc/def', (t) => {
  for (const value of ['/abc', '/abc/']) {
    for (const path of ['/abc', '/abc/', '/abc/def', '/abc//'])
      t.true(fits({ path: prefix(value) }, { path }), path);
  }
});

test('A3: /abcd is not matched by the prefix /abc, nor is /ABC', (t) => {
  for (const path of ['/abcd', '/ABC', '/ab', '/', '/x/abc'])
    t.false(fits({ path: prefix('/abc') }, { path }), path);
});

test('A3: the prefix / is matched by every path, and by the * of OPTIONS', (t) => {
  for (const path of ['/', '/a', '//', '*']) t.true(fits({ path: prefix('/') }, { path }), path);
});

test('A3: the query is not part of the path', (t) => {
  t.true(fits({ path: exactly('/abc') }, { path: '/abc', query: 'x=/d' }));
  t.false(fits({ path: pattern('/abc.*x.*') }, { path: '/abc', query: 'x' }));
});

test('A3: a regular expression has to fit the whole path', (t) => {
  t.true(fits({ path: pattern('/v[0-9]+') }, { path: '/v12' }));
  t.false(fits({ path: pattern('/v[0-9]+') }, { path: '/v12/x' }));
});

test('a regular expression that is none is matched by nothing, and breaks nothing', (t) => {
  t.is(winner([{ path: pattern('(') }, {}], { path: '/(' }), 1);
});

test('A3: a header value is compared exactly, several of one name joined with a comma', (t) => {
  const headers = [value('version', 'two')];
  t.true(fits({ headers }, { fields: ['a', 'b', 'version', 'two'] }));
  t.false(fits({ headers }, { fields: ['version', 'Two'] }));
  t.false(fits({ headers }, { fields: ['version', 'two', 'version', 'one'] }));
  t.true(fits({ headers: [value('version', 'two,one')] }, { fields: ['version', 'two', 'version', 'one'] }));
  t.false(fits({ headers }, {}));
  t.true(fits({ headers: [value('version', 't.o', 'RegularExpression')] }, { fields: ['version', 'two'] }));
});

test('A3: all headers of a match must be there', (t) => {
  const headers = [value('a', '1'), value('b', '2')];
  t.false(fits({ headers }, { fields: ['a', '1'] }));
  t.true(fits({ headers }, { fields: ['b', '2', 'a', '1'] }));
});

test('A3: a query parameter is case sensitive, and of several the first counts', (t) => {
  const query = [value('animal', 'whale')];
  for (const [text, expected] of [
    ['animal=whale', true],
    ['x=1&animal=whale', true],
    ['animal=whale&animal=dolphin', true],
    ['animal=dolphin&animal=whale', false],
    ['Animal=whale', false],
    ['animal=Whale', false],
    ['animal', false],
    ['animals=whale', false],
    ['animal=w%68ale', true],
    ['animal=wh%zz', false],
    ['', false],
  ] as const) {
    t.is(fits({ query }, { query: text }), expected, text);
  }
  t.true(fits({ query: [value('flag', '')] }, { query: 'flag' }));
  t.true(fits({ query: [value('__proto__', 'a b')] }, { query: '__proto__=a+b' }));
});

test('A3: GET does not imply HEAD', (t) => {
  t.true(fits({ method: 'GET' }, {}));
  t.false(fits({ method: 'GET' }, { method: 'HEAD' }));
});

test('A2: the first match in the order of precedence decides, wherever it is kept', (t) => {
  t.is(
    winner([{ path: exactly('/a/b') }, { path: prefix('/a/b') }, { path: prefix('/a') }], { path: '/a/b' }),
    0,
  );
  t.is(
    winner([{ path: exactly('/a/b') }, { path: prefix('/a/b') }, { path: prefix('/a') }], { path: '/a/b/' }),
    1,
  );
  t.is(winner([{ path: prefix('/a/b') }, { path: prefix('/a'), method: 'GET' }], { path: '/a/b' }), 0);
  t.is(winner([{ path: pattern('/.*') }, { path: exactly('/a') }], { path: '/a' }), 0);
  t.is(winner([{ path: exactly('/a') }, { path: pattern('/.*') }, { path: prefix('/') }], { path: '/b' }), 1);
});

test('A2: a match that a header or method does not fit leaves the request to a later one', (t) => {
  const matches = [
    { path: prefix('/a/b'), method: 'POST' },
    { path: prefix('/a'), headers: [value('x', '1')] },
    { path: prefix('/') },
  ];
  t.is(winner(matches, { path: '/a/b', method: 'POST' }), 0);
  t.is(winner(matches, { path: '/a/b', fields: ['x', '1'] }), 1);
  t.is(winner(matches, { path: '/a/b' }), 2);
});

test('the patterns that one request is compared with may not cost more than all together may', (t) => {
  const costly = Array.from({ length: 40 }, (_, at) => ({ path: pattern(`(.*)*(.*)*${at}`) }));
  const table = createRouteTable(routeSet(...costly.map((one) => [one, {}] as const), [{}, {}]));
  t.is(table.find(request({ path: '/a' }))?.index, 40);
  const path = `/${'a'.repeat(8_000)}`;
  t.like(
    t.throws(() => table.find(request({ path }))),
    { code: 'match_too_costly' },
  );
  t.is(table.find(request({ path: '/b' }))?.index, 40, 'the next request has its own');
  const { winner, considered } = explainRequest(table, request({ path }));
  t.is(winner?.index, 40);
  t.regex(considered[0]?.verdict ?? '', /^path .* is not the pattern/, 'each is explained for itself');
});

test('an explanation says of a match that it costs too much', (t) => {
  const table = createRouteTable(routeSet([{ path: pattern('(a*){400}b') }, {}]));
  const { considered } = explainRequest(table, request({ path: 'a'.repeat(8_000) }));
  t.regex(considered[0]?.verdict ?? '', /takes over .* steps/);
});

test('A2: no rule matches what no match fits', (t) => {
  t.is(winner([{ path: prefix('/a') }], { path: '/b' }), undefined);
});

test('A9: a match for one port is not met by requests to another', (t) => {
  t.true(fits({ port: 8080 }, { port: 8080 }));
  t.false(fits({ port: 8080 }, { port: 80 }));
  t.false(createRouteTable(routeSet([{ port: 8080 }, {}])).concerns(80));
  t.true(createRouteTable(routeSet([{ port: 8080 }, {}], [{}, {}])).concerns(80));
});

const part = fc.constantFrom('', 'a', 'b', 'ab');
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const anyMatch: fc.Arbitrary<Partial<Match>> = fc.record({
  path: fc.oneof(path.map(prefix), path.map(exactly), fc.constantFrom('/.*b', '/a+(/.*)?').map(pattern)),
  headers: fc.constantFrom([], [], [value('x', '1')]),
});

test('the index finds what comparing with one match after the other finds', (t) => {
  let found = 0;
  fc.assert(
    fc.property(fc.array(anyMatch, { maxLength: 12 }), path, fc.boolean(), (matches, asked, header) => {
      const table = createRouteTable(routeSet(...matches.map((one) => [one, {}] as const)));
      const subject = request({ path: asked, fields: header ? ['x', '1'] : [] });
      const rule = table.find(subject);
      if (rule !== undefined) found++;
      return explainRequest(table, subject).winner?.rule === rule;
    }),
    { numRuns: 1_000 },
  );
  t.true(found > 100);
});

test('an explanation says of every match why it does not fit, and which is the first that does', (t) => {
  const matches = [
    { path: exactly('/orders') },
    { path: prefix('/v1'), port: 8080 },
    { path: prefix('/v1'), method: 'POST' },
    { path: prefix('/v1'), headers: [value('version', 'two')] },
    { path: prefix('/v1'), headers: [value('canary', 'yes')] },
    { path: prefix('/v1'), query: [value('q', '[0-9]+', 'RegularExpression')] },
    { path: prefix('/v1') },
    {},
  ];
  const table = createRouteTable(routeSet(...matches.map((one) => [one, {}] as const)));
  const asked = request({ path: '/v1/x', query: 'q=a', fields: ['version', 'one'] });
  const { considered, winner } = explainRequest(table, asked);
  t.deepEqual(
    considered.map(({ verdict }) => verdict),
    [
      'path "/v1/x" is not exactly "/orders"',
      'port 80 is not 8080',
      'method GET is not POST',
      'header version "one" is not exactly "two"',
      'header canary is missing',
      'query q "a" is not the pattern "[0-9]+"',
      'matches',
      'matches',
    ],
  );
  t.is(winner?.index, 6);
  t.is(winner?.rule, table.find(asked));
});
