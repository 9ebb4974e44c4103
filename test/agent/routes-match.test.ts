import test from 'ava';
import { ask } from '../kit/mesh.ts';
import { jsonOf, named, type RoutedMesh, servedBy, startRoutedMesh, to } from './routed-mesh.ts';

/** Which rule serves a request (A1 to A3). A number behind a point is that of the statement in its section. */
let routes: RoutedMesh;

test.before(async () => {
  routes = await startRoutedMesh();
});
test.after.always(() => routes.stop());
test.beforeEach(() => routes.reset());

const prefix = (value: string, more: object = {}) => ({ path: { type: 'PathPrefix', value }, ...more });
const exact = (value: string, more: object = {}) => ({ path: { type: 'Exact', value }, ...more });
const values = (...names: string[]) => names.map((name) => ({ name, value: '1' }));

/** Asks as `GET /path`, and compares who has served it. */
async function serves(
  t: { is(actual: unknown, expected: unknown, message?: string): void },
  service: string,
  cases: readonly (readonly [request: string, expected: string, headers?: object])[],
): Promise<void> {
  for (const [request, expected, headers] of cases) {
    const said = `${request} ${JSON.stringify(headers ?? {})}`;
    t.is(await servedBy(routes.front.door, service, request, headers), expected, said);
  }
}

test.serial('A1.1: rules left out are one for everything, and matches left out or empty too', async (t) => {
  for (const rules of [undefined, [{}], [{ matches: [] }], [{ matches: [{}] }]]) {
    const service = 'v1.default';
    await routes.publish(t, service, [{ rules }]);
    for (const path of ['/', '/any/thing?x']) {
      t.is((await ask(routes.front.door, service, path)).headers['x-app'], 'v1', JSON.stringify(rules));
    }
  }
});

test.serial(
  'A1.2: a path without type is a prefix, without value /; headers and params are exact',
  async (t) => {
    const service = await routes.routed(t, [
      named('path', { matches: [{ path: { value: '/p' } }] }),
      named('header', { matches: [{ headers: [{ name: 'x', value: 'a.c' }] }] }),
      named('param', {
        matches: [{ path: { type: 'PathPrefix' }, queryParams: [{ name: 'x', value: 'a.c' }] }],
      }),
      named('exact', { matches: [{ path: { type: 'Exact' } }] }),
    ]);
    await serves(t, service, [
      ['GET /p/q', 'path'],
      ['GET /x', 'header', { x: 'a.c' }],
      ['GET /x', 'no_route', { x: 'abc' }],
      ['GET /x?x=a.c', 'param'],
      ['GET /x?x=abc', 'no_route'],
      ['GET /', 'exact'],
    ]);
  },
);

test.serial('A1.3: a backend is a service of the namespace of its route', async (t) => {
  const rules = [{ backendRefs: [{ name: 'v1', port: 80 }] }];
  const service = await routes.routed(t, { rules }, { rules, namespace: 'shop' });
  t.is((await ask(routes.front.door, service)).headers['x-app'], 'v1');
  const other = await ask(routes.shopFront.door, service);
  t.deepEqual([other.status, jsonOf(other).code], [500, 'invalid_backend']);
  t.regex(jsonOf(other).detail, /v1\.shop/);
});

test.serial('A2.1 A9.7: hostnames of a route decide nothing', async (t) => {
  const service = await routes.routed(
    t,
    { rules: [named('foreign', {})], hostnames: ['foreign.example'], name: 'a' },
    { rules: [named('more', { matches: [prefix('/more')] })], hostnames: ['*.example'], name: 'b' },
  );
  await serves(t, service, [
    ['GET /', 'foreign'],
    ['GET /more', 'more'],
  ]);
});

test.serial(
  'A2.2 A2.3 A2.4 A2.5 A2.6: exact path, longest prefix, method, headers, params decide, each only on a tie of those before',
  async (t) => {
    // From the weakest to the strongest, so that the order in the list helps none of them.
    const service = await routes.routed(t, [
      named('plain', { matches: [prefix('/a')] }),
      named('one param', { matches: [prefix('/a', { queryParams: values('p1') })] }),
      named('three params', { matches: [prefix('/a', { queryParams: values('p1', 'p2', 'p3') })] }),
      named('one header', { matches: [prefix('/a', { headers: values('h1') })] }),
      named('five headers', { matches: [prefix('/a', { headers: values('h1', 'h2', 'h3', 'h4', 'h5') })] }),
      named('method', { matches: [prefix('/a', { method: 'GET' })] }),
      named('method and header', { matches: [prefix('/a', { method: 'GET', headers: values('h5') })] }),
      named('longer', { matches: [prefix('/a/b')] }),
      named('exact', { matches: [exact('/a/b/c')] }),
    ]);
    const five = { h1: '1', h2: '1', h3: '1', h4: '1', h5: '1' };
    const params = '?p1=1&p2=1&p3=1';
    await serves(t, service, [
      [`GET /a/b/c${params}`, 'exact', five],
      [`GET /a/b/d${params}`, 'longer', five],
      [`GET /a/x${params}`, 'method', { h1: '1', h2: '1' }],
      [`GET /a/x${params}`, 'method and header', five],
      [`PUT /a/x${params}`, 'five headers', five],
      [`PUT /a/x${params}`, 'one header', { h1: '1' }],
      [`PUT /a/x${params}`, 'three params'],
      ['PUT /a/x?p1=1', 'one param'],
      ['PUT /a/x', 'plain'],
    ]);
  },
);

test.serial('A2: precedence is that of a match, over all rules of all routes', async (t) => {
  const service = await routes.routed(
    t,
    { rules: [named('a', { matches: [prefix('/'), exact('/x')] })] },
    {
      rules: [named('b', { matches: [prefix('/b'), exact('/y')] }), named('c', { matches: [prefix('/x')] })],
    },
  );
  await serves(t, service, [
    ['GET /x', 'a'],
    ['GET /x/z', 'c'],
    ['GET /b', 'b'],
    ['GET /y', 'b'],
    ['GET /z', 'a'],
  ]);
});

test.serial(
  'A2.7 A2.8: of equal matches the oldest route decides, then namespace/name, then the list',
  async (t) => {
    const both = (name: string) => [named(name, {}), named(`${name} again`, {})];
    const service = await routes.routed(
      t,
      { rules: both('young'), name: 'a', creationTimestamp: '2026-08-02T00:00:00Z' },
      { rules: both('old z'), name: 'z', creationTimestamp: '2026-08-01T00:00:00Z' },
      { rules: both('old m'), name: 'm', creationTimestamp: '2026-08-01T00:00:00Z' },
    );
    await serves(t, service, [['GET /', 'old m']]);
  },
);

test.serial(
  'A2: one rule serves a request: it is not looked for again when its backend is invalid',
  async (t) => {
    const service = await routes.routed(t, [
      named('gone', { matches: [prefix('/a')], backendRefs: [to('gone')] }),
      named('rest', {}),
    ]);
    await serves(t, service, [
      ['GET /a', 'invalid_backend'],
      ['GET /b', 'rest'],
    ]);
  },
);

test.serial('A2: what no rule matches is 404, and reaches no application', async (t) => {
  const service = await routes.routed(t, [named('a', { matches: [prefix('/a')] })]);
  const response = await ask(routes.front.door, service, '/b');
  t.deepEqual([response.status, jsonOf(response).code], [404, 'no_route']);
  t.regex(response.headers['proxy-status']?.toString() ?? '', /^weft-front; error=destination_not_found/);
  t.deepEqual(routes.seen, { v1: [], v2: [] });
});

test.serial('A2: one of several matches is enough, and all that a match says must hold', async (t) => {
  const service = await routes.routed(t, [
    named('either', { matches: [exact('/x'), prefix('/y', { method: 'PUT' })] }),
    named('all', {
      matches: [prefix('/z', { headers: values('a', 'b'), queryParams: values('c', 'd'), method: 'GET' })],
    }),
  ]);
  await serves(t, service, [
    ['GET /x', 'either'],
    ['PUT /y', 'either'],
    ['GET /y', 'no_route'],
    ['GET /z?c=1&d=1', 'all', { a: '1', b: '1' }],
    ['GET /z?c=1&d=1', 'no_route', { a: '1' }],
    ['GET /z?c=1', 'no_route', { a: '1', b: '1' }],
    ['PUT /z?c=1&d=1', 'no_route', { a: '1', b: '1' }],
  ]);
});

test.serial(
  'A3.1: exact paths and prefixes: case, slashes, elements; the query is no part of them',
  async (t) => {
    const service = await routes.routed(t, [
      named('exact', { matches: [exact('/abc')] }),
      named('prefix', { matches: [prefix('/pre')] }),
      named('slash', { matches: [prefix('/sla/')] }),
      named('pattern', { matches: [{ path: { type: 'RegularExpression', value: '/r[0-9]+' } }] }),
    ]);
    await serves(t, service, [
      ['GET /abc', 'exact'],
      ['GET /abc?x=/d', 'exact'],
      ['GET /abc/', 'no_route'],
      ['GET /Abc', 'no_route'],
      ['GET /pre', 'prefix'],
      ['GET /pre/', 'prefix'],
      ['GET /pre/def?x', 'prefix'],
      ['GET /pred', 'no_route'],
      ['GET /PRE', 'no_route'],
      ['GET /sla', 'slash'],
      ['GET /sla/', 'slash'],
      ['GET /sla/def', 'slash'],
      ['GET /slash', 'no_route'],
      ['GET /r12', 'pattern'],
      ['GET /r12/x', 'no_route'],
    ]);
  },
);

test.serial(
  'A3.2: header names in any case, the first of equivalent ones; values exact, repeated ones joined',
  async (t) => {
    const service = await routes.routed(t, [
      named('version', { matches: [{ headers: [{ name: 'X-Version', value: 'two' }] }] }),
      named('first', {
        matches: [
          {
            headers: [
              { name: 'Animal', value: 'whale' },
              { name: 'ANIMAL', value: 'dolphin' },
            ],
          },
        ],
      }),
      named('joined', { matches: [{ headers: [{ name: 'x-list', value: 'a,b' }] }] }),
      named('pattern', {
        matches: [{ headers: [{ name: 'x-p', value: 'a.*', type: 'RegularExpression' }] }],
      }),
    ]);
    await serves(t, service, [
      ['GET /', 'version', { 'x-VERSION': 'two' }],
      ['GET /', 'no_route', { 'x-version': 'Two' }],
      ['GET /', 'first', { animal: 'whale' }],
      ['GET /', 'no_route', { animal: 'dolphin' }],
      ['GET /', 'joined', { 'x-list': ['a', 'b'] }],
      ['GET /', 'no_route', { 'x-list': ['b', 'a'] }],
      ['GET /', 'pattern', { 'x-p': 'abc' }],
      ['GET /', 'no_route', { 'x-p': 'bca' }],
    ]);
  },
);

test.serial(
  'A3.3: query names and values are exact, in their case; of repeated ones the first counts',
  async (t) => {
    const service = await routes.routed(t, [
      named('whale', { matches: [{ queryParams: [{ name: 'animal', value: 'whale' }] }] }),
    ]);
    await serves(t, service, [
      ['GET /?animal=whale', 'whale'],
      ['GET /?x&animal=whale&y=1', 'whale'],
      ['GET /?animal=w%68ale', 'whale'],
      ['GET /?animal=whale&animal=dolphin', 'whale'],
      ['GET /?animal=dolphin&animal=whale', 'no_route'],
      ['GET /?Animal=whale', 'no_route'],
      ['GET /?animal=Whale', 'no_route'],
    ]);
  },
);

test.serial('A3.4: a method is matched as it is, and GET does not imply HEAD', async (t) => {
  const service = await routes.routed(t, [
    named('get', { matches: [{ method: 'GET' }] }),
    named('options', { matches: [{ method: 'OPTIONS' }] }),
  ]);
  await serves(t, service, [
    ['GET /', 'get'],
    ['OPTIONS /', 'options'],
    ['PATCH /', 'no_route'],
  ]);
  const head = await ask(routes.front.door, service, '/', { method: 'HEAD' });
  t.deepEqual([head.status, head.headers['x-rule']], [404, undefined]);
});

test.serial('A3.5: the port of Host does not matter, and Host is forwarded as it came', async (t) => {
  const service = await routes.routed(t, [named('any', {})]);
  for (const host of [service, `${service}:8080`, `${service}.svc.cluster.local:1`]) {
    const response = await ask(routes.front.door, host);
    t.deepEqual([response.headers['x-rule'], jsonOf(response).headers.host], ['any', host]);
  }
});

test.serial('A9.7: instead of hostnames a route can match on Host', async (t) => {
  const service = await routes.routed(t, [
    named('short', {
      matches: [{ headers: [{ name: 'Host', value: 'parent-.*', type: 'RegularExpression' }] }],
    }),
    named('other', {}),
  ]);
  await serves(t, service, [['GET /', 'short']]);
  await serves(t, `${service}.mesh`, [['GET /', 'short']]);
});

test.serial(
  'regular expressions that cost one request too much end it with an error that is counted',
  async (t) => {
    const costly = Array.from({ length: 4 }, (_, at) => ({
      path: { type: 'RegularExpression', value: `/(a*){400}${at}` },
    }));
    const service = await routes.routed(t, [named('costly', { matches: costly }), named('rest', {})]);
    await serves(t, service, [
      ['GET /b', 'rest'],
      ['GET /aaa2', 'costly'],
      [`GET /${'a'.repeat(4_000)}`, 'match_too_costly'],
      ['GET /b', 'rest'],
    ]);
    t.true((await routes.front.agent.registry.metrics()).includes('error="match_too_costly"} 1'));
  },
);
