import test from 'ava';
import fc from 'fast-check';
import { WeftError } from '../../../src/protocol/errors.ts';
import { fieldValue } from '../../../src/protocol/fields.ts';
import { decodeRequestHead, encodeRequestHead } from '../../../src/protocol/head.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { mirrored } from '../../../src/protocol/routes/mirror.ts';
import {
  type ForwardPlan,
  type Plan,
  planRequest,
  type RoutedRequest,
} from '../../../src/protocol/routes/plan.ts';
import { createRouteTable } from '../../../src/protocol/routes/route-table.ts';
import { pickBackend } from '../../../src/protocol/routes/weighted-pick.ts';
import type { Filter, RouteSet } from '../../../src/protocol/snapshot.ts';
import { backend, cors, oneRule, prefix, requestHeaders, responseHeaders, routeSet } from './routes.ts';

function planned(set: RouteSet, rest: Partial<RoutedRequest> = {}, random = () => 0): Plan | undefined {
  const request = { method: 'GET', target: '/', hostname: 'orders', port: 80, fields: [], ...rest };
  return planRequest(createRouteTable(set), request, random);
}

function forwarded(set: RouteSet, rest: Partial<RoutedRequest> = {}, random = () => 0): ForwardPlan {
  const plan = planned(set, rest, random);
  if (plan === undefined || plan.answer !== undefined || plan.auth !== undefined)
    throw new Error('it is not forwarded');
  return plan;
}

const rewrite = (value: string): Filter => ({
  type: 'URLRewrite',
  rewrite: { path: { type: 'ReplaceFullPath', value } },
});
const mirror = (service: string, fraction = 1): Filter => ({
  type: 'RequestMirror',
  mirror: { service, fraction },
});

test('A2: what no match fits is refused with no_route once a route is attached', (t) => {
  const error = t.throws(() => planned(routeSet([{ path: prefix('/a') }, {}]), { target: '/b' }));
  t.like(error, { code: 'no_route' });
});

test('A9: requests to a port that no route is attached to are not routed', (t) => {
  t.is(planned(routeSet([{ port: 8080 }, {}])), undefined);
  t.not(planned(routeSet([{ port: 8080 }, {}]), { port: 8080 }), undefined);
});

test('A5: the weight is the share of the sum, and one of 0 gets nothing', (t) => {
  const backends = [backend('a', { weight: 1 }), backend('b', { weight: 0 }), backend('c', { weight: 3 })];
  const shares = { a: 0, b: 0, c: 0 };
  for (let at = 0; at < 1_000; at++) {
    shares[pickBackend(backends, at / 1_000)?.service as 'a' | 'b' | 'c'] += 1;
  }
  t.deepEqual(shares, { a: 250, b: 0, c: 750 });
});

test('A5: a backend that is drawn has a weight, whatever is drawn', (t) => {
  const weights = fc.array(fc.nat(3), { maxLength: 5 });
  fc.assert(
    fc.property(weights, fc.double({ min: 0, max: 1, noNaN: true }), (all, random) => {
      const picked = pickBackend(
        all.map((weight) => backend('a', { weight })),
        random,
      );
      return all.some((weight) => weight > 0) ? (picked?.weight ?? 0) > 0 : picked === undefined;
    }),
  );
  t.pass();
});

test('A5: the share of an invalid backend fails with 500, and the others get no more than theirs', (t) => {
  const set = oneRule({ backends: [backend('a'), backend('gone.default', { invalid: 'BackendNotFound' })] });
  t.is(forwarded(set, {}, () => 0.49).backend, 'a');
  t.like(
    t.throws(() => planned(set, {}, () => 0.51)),
    { code: 'invalid_backend', message: 'default/routes rule 0, backend gone.default: BackendNotFound' },
  );
});

test('A5: without any backend, or any weight, requests fail with 500', (t) => {
  for (const backends of [
    [],
    [backend('a', { weight: 0 })],
    [backend('a', { weight: 0 }), backend('b', { weight: 0 })],
  ]) {
    t.like(
      t.throws(() => planned(oneRule({ backends }))),
      { code: 'invalid_backend' },
    );
  }
});

test('A4: the filters of a backend run only when it is drawn, after those of the rule', (t) => {
  const filters = [requestHeaders([['from', 'rule']])];
  const backends = [backend('a', { filters: [requestHeaders([['from', 'backend']])] }), backend('b')];
  const set = oneRule({ filters, backends });
  t.is(fieldValue(forwarded(set, {}, () => 0).fields, 'from'), 'backend');
  t.is(fieldValue(forwarded(set, {}, () => 0.9).fields, 'from'), 'rule');
});

test('response changes apply from the backend outwards', (t) => {
  const inner = responseHeaders([['x', 'inner']]);
  const outer = responseHeaders([['x', 'outer']]);
  const set = oneRule({ filters: [outer], backends: [backend('a', { filters: [inner] })] });
  t.deepEqual(
    forwarded(set).modifiers.map((one) => one.set[0]?.[1]),
    ['inner', 'outer'],
  );
});

test('A4: a rewrite changes path and Host and keeps the query', (t) => {
  const filters: Filter[] = [
    {
      type: 'URLRewrite',
      rewrite: { hostname: 'other.example', path: { type: 'ReplacePrefixMatch', prefix: '/a', value: '/b' } },
    },
  ];
  const plan = forwarded(oneRule({ filters }), { target: '/a/c?x=/a', fields: ['host', 'orders'] });
  t.is(plan.target, '/b/c?x=/a');
  t.deepEqual(plan.fields, ['host', 'other.example']);
});

test('a route cannot make a target longer than any may be', (t) => {
  const set = oneRule({ filters: [rewrite(`/${'x'.repeat(1_000)}`)] });
  t.like(
    t.throws(() => planned(set, { target: `/?${'q'.repeat(8_000)}` })),
    { code: 'uri_too_long' },
  );
});

test('A4: a mirror copies its fraction of the requests, and there may be several', (t) => {
  t.false(mirrored({ service: 'a', fraction: 0 }, 0));
  t.true(mirrored({ service: 'a', fraction: 0.5 }, 0.49));
  t.false(mirrored({ service: 'a', fraction: 0.5 }, 0.5));
  t.true(mirrored({ service: 'a', fraction: 1 }, 1));
  t.deepEqual(forwarded(oneRule({ filters: [mirror('a'), mirror('b', 0), mirror('c')] })).mirrors, [
    'a',
    'c',
  ]);
});

test('A4: a redirect answers, whatever the backends', (t) => {
  const filters: Filter[] = [
    responseHeaders([['x', 'y']]),
    { type: 'RequestRedirect', redirect: { scheme: 'https', status: 301 } },
  ];
  const plan = planned(oneRule({ filters, backends: [] }), { target: '/a?b', port: 8080 });
  t.deepEqual(plan?.answer, {
    status: 301,
    fields: ['location', 'https://orders/a?b', 'content-length', '0', 'x', 'y'],
  });
});

test('A4: a filter that nobody knows fails the request, and is not skipped', (t) => {
  const set = oneRule({ filters: [{ type: 'Unsupported', what: 'ExtensionRef example/Thing' }] });
  t.like(
    t.throws(() => planned(set)),
    { code: 'unsupported_filter' },
  );
  const newer = oneRule({ filters: [{ type: 'FromTheFuture' } as unknown as Filter] });
  t.like(
    t.throws(() => planned(newer)),
    { code: 'unsupported_filter' },
  );
});

test('A4: a preflight is answered before a backend is drawn; any other request goes on', (t) => {
  const set = oneRule({ filters: [{ type: 'CORS', cors: cors() }], backends: [backend('a')] });
  const fields = ['origin', 'https://shop.example', 'access-control-request-method', 'GET'];
  t.is(planned(set, { method: 'OPTIONS', fields })?.answer?.status, 204);
  t.is(
    fieldValue(forwarded(set, { fields }).cors ?? [], 'access-control-allow-origin'),
    'https://shop.example',
  );
  t.is(forwarded(set, { method: 'OPTIONS' }).backend, 'a');
});

const AWAY: Filter = { type: 'RequestRedirect', redirect: { hostname: 'away.example', status: 302 } };
const CORS: Filter = { type: 'CORS', cors: cors() };
const UNKNOWN: Filter = { type: 'Unsupported', what: 'ExtensionRef example/Thing' };
const ORIGIN = ['origin', 'https://shop.example'];
const PREFLIGHT = [...ORIGIN, 'access-control-request-method', 'GET'];
const allowed = (fields: readonly string[] | undefined) =>
  fieldValue([...(fields ?? [])], 'access-control-allow-origin');

test('A4.8: wherever CORS is listed, it answers preflights, and other answers speak it', (t) => {
  for (const filters of [
    [CORS, AWAY],
    [AWAY, CORS],
    [UNKNOWN, CORS],
  ]) {
    t.is(planned(oneRule({ filters }), { method: 'OPTIONS', fields: PREFLIGHT })?.answer?.status, 204);
    const set = oneRule({ backends: [backend('a', { filters })] });
    t.is(planned(set, { method: 'OPTIONS', fields: PREFLIGHT })?.answer?.status, 204, 'of a backend');
  }
  for (const filters of [
    [CORS, AWAY],
    [AWAY, CORS],
  ]) {
    const { answer } = planned(oneRule({ filters }), { fields: ORIGIN }) ?? {};
    t.is(answer?.status, 302);
    t.is(allowed(answer?.fields), 'https://shop.example');
    const set = oneRule({ backends: [backend('a', { filters })] });
    t.is(allowed(planned(set, { fields: ORIGIN })?.answer?.fields), 'https://shop.example');
  }
});

/** What the response to a refusal carries. */
function refusal(set: RouteSet, rest: Partial<RoutedRequest> = {}): { code: string; allowed: unknown } {
  try {
    planned(set, { fields: ORIGIN, ...rest });
  } catch (error) {
    if (error instanceof WeftError) return { code: error.code, allowed: allowed(error.fields) };
  }
  return { code: 'none', allowed: undefined };
}

test('A4.8: what a route refuses speaks CORS too, so that a script in a browser sees why', (t) => {
  const gone = backend('gone.default', { invalid: 'BackendNotFound' });
  const lines = (count: number) => Array.from({ length: count }, (_, at) => [`x-${at}`, '1'] as const);
  for (const [code, rule] of [
    ['invalid_backend', { filters: [CORS], backends: [gone] }],
    ['invalid_backend', { filters: [CORS], backends: [] }],
    ['invalid_backend', { backends: [{ ...gone, filters: [CORS] }] }],
    ['unsupported_filter', { filters: [UNKNOWN, CORS] }],
    ['unsupported_filter', { filters: [CORS], backends: [backend('a', { filters: [UNKNOWN] })] }],
    ['uri_too_long', { filters: [rewrite(`/${'x'.repeat(9_000)}`), CORS] }],
    ['head_too_large', { filters: [requestHeaders(lines(200)), CORS] }],
  ] as const) {
    t.deepEqual(refusal(oneRule(rule)), { code, allowed: 'https://shop.example' });
  }
  t.is(refusal(oneRule({ backends: [gone] })).allowed, undefined);
});

test('A5.2: the share of an invalid backend answers no preflight of its own CORS', (t) => {
  const gone = backend('gone.default', { invalid: 'BackendNotFound', filters: [CORS] });
  const asked = { method: 'OPTIONS', fields: PREFLIGHT };
  t.is(refusal(oneRule({ backends: [gone] }), asked).code, 'invalid_backend');
});

test('A4.3: a route cannot make a head larger than any may be', (t) => {
  const lines = (count: number, length = 1) =>
    Array.from({ length: count }, (_, at) => [`x-${at}`, 'v'.repeat(length)] as const);
  const fields = lines(LIMITS.headerLinesMax).flat();
  const adding = (count: number, length?: number) =>
    oneRule({ filters: [requestHeaders(lines(count, length).map(([name, value]) => [`y${name}`, value]))] });
  t.is(forwarded(adding(LIMITS.headerLinesAddedMax), { fields }).fields.length / 2, 116);
  for (const set of [adding(LIMITS.headerLinesAddedMax + 1), adding(16, 4_608)]) {
    const error = t.throws(() => planned(set, { fields }), { instanceOf: WeftError });
    t.is(error?.code, 'head_too_large');
    t.regex(error?.message ?? '', /^default\/routes rule 0: with what the route adds, the head /);
  }
  t.is(
    forwarded(oneRule({}), { fields: lines(500).flat() }).fields.length,
    1_000,
    'what no route has touched',
  );
});

test('A4.3: what passes can be read at the other end, whatever a route adds', (t) => {
  const size = fc.integer({ min: 60_000, max: 80_000 });
  const target = fc.integer({ min: 1, max: LIMITS.targetBytesMax - 1 });
  let passed = 0;
  fc.assert(
    fc.property(size, target, (bytes, path) => {
      const set = oneRule({ filters: [requestHeaders([['x', 'v'.repeat(bytes - path)]])] });
      let plan: ForwardPlan;
      try {
        plan = forwarded(set, { target: `/${'p'.repeat(path - 1)}` });
      } catch (error) {
        if (!(error instanceof WeftError)) throw error;
        return error.code === 'head_too_large';
      }
      passed++;
      const { target: to, fields } = plan;
      const parties = { service: 'orders.default', caller: 'checkout.default', deadlineMs: 15_000 };
      decodeRequestHead(encodeRequestHead({ method: 'GET', target: to, fields, ...parties }));
      return true;
    }),
  );
  t.true(passed > 10);
});
