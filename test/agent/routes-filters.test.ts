import test from 'ava';
import { ask, quiet, until } from '../kit/mesh.ts';
import { PREFIX_TABLE } from '../protocol/routes/prefix-table.ts';
import { jsonOf, plainly, type RoutedMesh, startRoutedMesh, to } from './routed-mesh.ts';

/** What filters do to requests and responses (A4), but for mirrors. */
let routes: RoutedMesh;

test.before(async () => {
  routes = await startRoutedMesh();
});
test.after.always(() => routes.stop());
test.beforeEach(() => routes.reset());

type Lines = Readonly<Record<string, string>>;
const lines = (of: Lines = {}) => Object.entries(of).map(([name, value]) => ({ name, value }));
const modifier = ({ set, add, remove = [] }: { set?: Lines; add?: Lines; remove?: readonly string[] }) => ({
  set: lines(set),
  add: lines(add),
  remove,
});
const request = (change: Parameters<typeof modifier>[0]) => ({
  type: 'RequestHeaderModifier',
  requestHeaderModifier: modifier(change),
});
const response = (change: Parameters<typeof modifier>[0]) => ({
  type: 'ResponseHeaderModifier',
  responseHeaderModifier: modifier(change),
});
const redirect = (requestRedirect: object) => ({ type: 'RequestRedirect', requestRedirect });
const rewrite = (urlRewrite: object) => ({ type: 'URLRewrite', urlRewrite });
const cors = (more: object = {}) => ({
  type: 'CORS',
  cors: { allowOrigins: ['https://shop.example'], ...more },
});
const extension = { type: 'ExtensionRef', extensionRef: { group: 'x.dev', kind: 'Thing', name: 'a' } };
const replacePrefix = (replacePrefixMatch: string) => ({ type: 'ReplacePrefixMatch', replacePrefixMatch });
const replaceAll = (replaceFullPath: string) => ({ type: 'ReplaceFullPath', replaceFullPath });
const at = (value: string, rest: object) => ({ matches: [{ path: { value } }], ...rest });
const forwarding = (...filters: object[]) => ({ filters, backendRefs: [to('v1')] });
const get = (service: string, path = '/', headers: object = {}) =>
  ask(routes.front.door, service, path, { headers: { ...headers } });

test.serial(
  'A4.1: filters run in the order of the list, those of the backend after those of the rule',
  async (t) => {
    const service = await routes.routed(t, [
      at('/told', { filters: [response({ set: { 'x-f': '1' } }), redirect({})] }),
      at('/untold', { filters: [redirect({}), response({ set: { 'x-f': '1' } })] }),
      {
        filters: [request({ add: { 'x-f': 'rule' } }), response({ add: { 'x-f': 'rule' } })],
        backendRefs: [
          to('v1', {
            filters: [request({ add: { 'x-f': 'backend' } }), response({ add: { 'x-f': 'backend' } })],
          }),
        ],
      },
    ]);
    t.is((await get(service, '/told')).headers['x-f'], '1');
    t.is((await get(service, '/untold')).headers['x-f'], undefined);
    const both = await get(service, '/', { 'x-f': 'caller' });
    t.is(jsonOf(both).headers['x-f'], 'caller,rule,backend');
    t.is(both.headers['x-f'], 'backend,rule');
  },
);

test.serial(
  'A4.1: an extension that is not there is an error, of the rule or of the share of its backend',
  async (t) => {
    const service = await routes.routed(t, [
      at('/all', forwarding(extension)),
      { backendRefs: [to('v1', { filters: [extension] }), to('v2', { weight: 0 })] },
    ]);
    for (const path of ['/all', '/share']) {
      const refused = await get(service, path);
      t.deepEqual([refused.status, jsonOf(refused).code], [500, 'unsupported_filter']);
      t.regex(jsonOf(refused).detail, /x\.dev\/Thing a/);
    }
    t.deepEqual(routes.seen, { v1: [], v2: [] });
  },
);

test.serial('A4.2: a backend has filters of every kind, and they run only when it is drawn', async (t) => {
  const all = [
    request({ set: { 'x-q': 'set' } }),
    response({ set: { 'x-s': 'set' } }),
    rewrite({ hostname: 'inner.example', path: replacePrefix('/new') }),
    cors(),
    { type: 'RequestMirror', requestMirror: { backendRef: to('v2') } },
  ];
  const service = await routes.routed(t, [
    at('/old', {
      backendRefs: [to('v1', { filters: all }), to('v2', { weight: 0, filters: [redirect({})] })],
    }),
    at('/go', { backendRefs: [to('v1', { filters: [redirect({ statusCode: 301 })] })] }),
    at('/plain', { backendRefs: [to('v1'), to('v2', { weight: 0, filters: all })] }),
  ]);
  const changed = await get(service, '/old/x', { origin: 'https://shop.example' });
  t.like(jsonOf(changed), { url: '/new/x', headers: { host: 'inner.example', 'x-q': 'set' } });
  t.like(changed.headers, { 'x-s': 'set', 'access-control-allow-origin': 'https://shop.example' });
  await until(() => routes.seen.v2?.[0] === 'GET /new/x', 'the mirror of the backend has its copy');
  t.is((await get(service, '/go')).status, 301);
  const plain = await get(service, '/plain/x', { origin: 'https://shop.example' });
  t.is(jsonOf(plain).url, '/plain/x');
  t.is(plain.headers['x-s'], undefined);
});

test.serial(
  'A4.3: headers are set, added and removed, in requests and responses, whatever their case',
  async (t) => {
    const change = {
      set: { 'X-Set': 'new', 'X-Made': 'made' },
      add: { 'X-ADD': 'more', 'x-only': 'only' },
      remove: ['X-gone'],
    };
    const service = await routes.routed(t, [forwarding(request(change), response(change))]);
    const sent = { 'x-SET': 'old', 'x-add': 'some', 'X-Gone': '1', 'x-kept': 'kept' };
    routes.reply((asked, answer, name) => {
      for (const [header, value] of Object.entries(sent)) answer.setHeader(header, value);
      plainly(asked, answer, name);
    });
    const changed = await get(service, '/', sent);
    const expected = {
      'x-set': 'new',
      'x-made': 'made',
      'x-add': 'some,more',
      'x-only': 'only',
      'x-kept': 'kept',
    };
    for (const headers of [jsonOf(changed).headers, changed.headers]) {
      t.like(headers, expected);
      t.false('x-gone' in headers);
    }
  },
);

test.serial(
  'A4.3: what a route adds beyond the limits of a head is an error, and breaks nothing',
  async (t) => {
    const many = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`x-r${n}`, 'v']));
    const more = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`y-r${n}`, 'v'.repeat(4_000)]));
    const service = await routes.routed(t, [
      at('/lines', forwarding(request({ set: many, add: { ...more, 'y-r0': 'v' } }), cors())),
      at('/bytes', forwarding(request({ set: more }), cors())),
      at('/response', forwarding(response({ set: many, add: more }), cors())),
      forwarding(),
    ]);
    const own = (count: number, value: string) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-own${n}`, value]));
    const origin = 'https://shop.example';
    for (const [path, headers] of [
      ['/lines', own(90, '1')],
      ['/bytes', own(3, 'v'.repeat(4_000))],
    ] as const) {
      const refused = await get(service, path, { ...headers, origin });
      t.deepEqual([refused.status, jsonOf(refused).code], [431, 'head_too_large'], path);
      t.regex(jsonOf(refused).detail, /^default\/route-0 rule [01]: with what the route adds, the head /);
      t.is(refused.headers['access-control-allow-origin'], origin);
    }
    t.deepEqual(routes.seen.v1, []);
    routes.reply((asked, answer, name) => {
      for (const [header, value] of Object.entries(own(90, '1'))) answer.setHeader(header, value);
      plainly(asked, answer, name);
    });
    const refused = await get(service, '/response', { origin });
    t.deepEqual([refused.status, jsonOf(refused).code], [502, 'response_head_too_large']);
    t.is(refused.headers['access-control-allow-origin'], origin);
    t.is((await get(service, '/x', own(90, '1'))).status, 200);
    await until(() => quiet(routes.front.agent), 'nothing is left');
  },
);

test.serial(
  'A4.4: a redirect says where to, by filter, scheme, Host, port of the service; no backend is called',
  async (t) => {
    const cases: readonly (readonly [filter: object, host: string, location: string])[] = [
      [{}, '', 'http://SERVICE/N?q=1'],
      [{}, ':8080', 'http://SERVICE:8080/N?q=1'],
      [{ port: 8443 }, ':8080', 'http://SERVICE:8443/N?q=1'],
      [{ scheme: 'https' }, ':8080', 'https://SERVICE/N?q=1'],
      [{ scheme: 'http' }, ':8080', 'http://SERVICE/N?q=1'],
      [{ scheme: 'https', port: 443 }, '', 'https://SERVICE/N?q=1'],
      [{ scheme: 'http', port: 80 }, ':8080', 'http://SERVICE/N?q=1'],
      [{ scheme: 'https', port: 80 }, '', 'https://SERVICE:80/N?q=1'],
      [{ hostname: 'away.example' }, '', 'http://away.example/N?q=1'],
      [{ hostname: 'away.example' }, ':8080', 'http://away.example:8080/N?q=1'],
      [{ path: replaceAll('/full') }, '', 'http://SERVICE/full?q=1'],
      [{ path: replacePrefix('/pre') }, '', 'http://SERVICE/pre?q=1'],
    ];
    const service = await routes.routed(
      t,
      cases.map(([filter], n) => at(`/${n}`, { filters: [redirect(filter)] })),
    );
    for (const [n, [filter, port, location]] of cases.entries()) {
      const gone = await get(`${service}${port}`, `/${n}?q=1`);
      const expected = location.replace('SERVICE', service).replace('/N?', `/${n}?`);
      t.deepEqual([gone.status, gone.headers.location], [302, expected], JSON.stringify(filter));
    }
    t.deepEqual(routes.seen, { v1: [], v2: [] });
  },
);

test.serial('A4.4: a redirect has the status of its filter, whatever the method', async (t) => {
  const codes = [301, 302, 303, 307, 308];
  const service = await routes.routed(
    t,
    codes.map((statusCode) => at(`/${statusCode}`, { filters: [redirect({ statusCode })] })),
  );
  for (const code of codes) {
    const { status, headers } = await ask(routes.front.door, service, `/${code}`, { method: 'POST' }, 'body');
    t.deepEqual([status, headers.location], [code, `http://${service}/${code}`]);
  }
});

test.serial(
  'A4.5: a prefix is replaced by the table of the specification, in rewrites and redirects',
  async (t) => {
    const rule = (n: number, prefix: string, rest: object) => ({
      matches: [{ path: { value: prefix }, headers: [{ name: 'x-case', value: String(n) }] }],
      ...rest,
    });
    const rewriting = await routes.routed(
      t,
      PREFIX_TABLE.map(([, prefix, value], n) =>
        rule(n, prefix, forwarding(rewrite({ path: replacePrefix(value) }))),
      ),
    );
    const redirecting = await routes.routed(
      t,
      PREFIX_TABLE.map(([, prefix, value], n) =>
        rule(n, prefix, { filters: [redirect({ path: replacePrefix(value) })] }),
      ),
    );
    for (const [n, [path, prefix, value, expected]] of PREFIX_TABLE.entries()) {
      const said = `${path} ${prefix} ${value}`;
      t.is(jsonOf(await get(rewriting, path, { 'x-case': n })).url, expected, said);
      const { headers } = await get(redirecting, `${path}?q`, { 'x-case': n });
      t.is(headers.location, `http://${redirecting}${expected}?q`, said);
    }
  },
);

test.serial('A4.5 A4.6: a rewrite replaces the whole path, and the Host; the query stays', async (t) => {
  const service = await routes.routed(t, [
    at('/full', forwarding(rewrite({ path: replaceAll('/new/path') }))),
    at('/host', forwarding(rewrite({ hostname: 'inner.example' }))),
  ]);
  const full = jsonOf(await get(service, '/full/x?a=1&b'));
  t.deepEqual([full.url, full.headers.host], ['/new/path?a=1&b', service]);
  const host = jsonOf(await get(`${service}:8080`, '/host/x?a'));
  t.deepEqual([host.url, host.headers.host], ['/host/x?a', 'inner.example']);
});

const preflight = (service: string, path: string, headers: object) =>
  ask(routes.front.door, service, path, {
    method: 'OPTIONS',
    headers: { 'access-control-request-method': 'PUT', ...headers },
  });
/** `allow-origin`, … of a response, without what they all start with. */
const spoken = ({ headers }: { headers: NodeJS.Dict<string | string[]> }) =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith('access-control-'))
      .map(([name, value]) => [name.slice('access-control-'.length), value]),
  );

test.serial(
  'A4.8: a preflight is answered by the mesh with what is configured, max-age always',
  async (t) => {
    const service = await routes.routed(t, [
      at('/plain', forwarding(cors())),
      at(
        '/all',
        forwarding(
          cors({
            allowMethods: ['PUT', 'GET'],
            allowHeaders: ['x-a', 'x-b'],
            exposeHeaders: ['x-c'],
            maxAge: 60,
          }),
        ),
      ),
    ]);
    const origin = 'https://shop.example';
    const plain = await preflight(service, '/plain', { origin });
    t.is(plain.status, 204);
    t.deepEqual(spoken(plain), { 'allow-origin': origin, 'max-age': '5' });
    t.deepEqual(spoken(await preflight(service, '/all', { origin })), {
      'allow-origin': origin,
      'allow-methods': 'PUT, GET',
      'allow-headers': 'x-a, x-b',
      'expose-headers': 'x-c',
      'max-age': '60',
    });
    t.deepEqual(routes.seen.v1, []);
  },
);

test.serial(
  'A4.8: what is no preflight goes on: OPTIONS without Origin or without the method that is meant',
  async (t) => {
    const service = await routes.routed(t, [forwarding(cors())]);
    await ask(routes.front.door, service, '/1', {
      method: 'OPTIONS',
      headers: { origin: 'https://shop.example' },
    });
    await preflight(service, '/2', {});
    t.deepEqual(routes.seen.v1, ['OPTIONS /1', 'OPTIONS /2']);
  },
);

test.serial(
  'A4.8: origins are exact, or any below a domain, with scheme and implied ports compared',
  async (t) => {
    const allowOrigins = ['https://exact.example', 'http://*.wild.example', 'https://port.example:8443'];
    const service = await routes.routed(t, [
      at('/any', forwarding(cors({ allowOrigins: ['*'] }))),
      forwarding(cors({ allowOrigins })),
    ]);
    routes.reply((asked, answer, name) => {
      answer.setHeader('access-control-allow-origin', '*');
      plainly(asked, answer, name);
    });
    for (const [origin, known] of [
      ['https://exact.example', true],
      ['https://exact.example:443', true],
      ['http://exact.example', false],
      ['https://exact.example:444', false],
      ['https://sub.exact.example', false],
      ['http://a.wild.example', true],
      ['http://a.b.wild.example:80', true],
      ['http://wild.example', false],
      ['http://evilwild.example', false],
      ['https://a.wild.example', false],
      ['https://port.example:8443', true],
      ['https://port.example', false],
    ] as const) {
      const asked = await preflight(service, '/', { origin });
      t.true([200, 204].includes(asked.status));
      t.deepEqual(spoken(asked), known ? { 'allow-origin': origin, 'max-age': '5' } : {}, origin);
      const actual = await get(service, '/', { origin });
      t.deepEqual([actual.status, jsonOf(actual).method], [200, 'GET'], 'it is forwarded, known or not');
      t.deepEqual(spoken(actual), known ? { 'allow-origin': origin } : {}, origin);
      t.is((await get(service, '/any', { origin })).headers['access-control-allow-origin'], '*');
    }
  },
);

test.serial('A4.9: with credentials nothing is *: what is asked for is echoed, or left out', async (t) => {
  const any = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*'] };
  const service = await routes.routed(t, [
    at('/with', forwarding(cors({ ...any, allowCredentials: true }))),
    at('/without', forwarding(cors({ ...any, allowCredentials: false }))),
  ]);
  const origin = 'https://shop.example';
  const asking = { origin, 'access-control-request-headers': 'x-a, x-b' };
  t.deepEqual(spoken(await preflight(service, '/with', asking)), {
    'allow-origin': origin,
    'allow-credentials': 'true',
    'allow-methods': 'PUT',
    'allow-headers': 'x-a, x-b',
    'max-age': '5',
  });
  t.false('allow-headers' in spoken(await preflight(service, '/with', { origin })));
  t.deepEqual(spoken(await get(service, '/with', { origin })), {
    'allow-origin': origin,
    'allow-credentials': 'true',
  });
  const without = spoken(await preflight(service, '/without', asking));
  t.false('allow-credentials' in without);
  t.true([origin, '*'].includes(String(without['allow-origin'])));
  t.like(without, { 'allow-methods': '*', 'allow-headers': '*' });
});

test.serial(
  'A4.8: CORS works wherever it is listed, and what the mesh answers itself speaks it',
  async (t) => {
    const slow = { timeouts: { request: '50ms' } };
    const answers: readonly (readonly [rule: object, status: number])[] = [
      [{ filters: [redirect({ hostname: 'away.example' }), cors()] }, 302],
      [{ filters: [cors(), redirect({ hostname: 'away.example' })] }, 302],
      [forwarding(extension, cors()), 500],
      [{ filters: [cors()], backendRefs: [to('gone')] }, 500],
      [{ filters: [cors()], backendRefs: [to('v1', { weight: 0 })] }, 500],
      [{ backendRefs: [to('gone', { filters: [cors()] })] }, 500],
      [{ filters: [cors()], backendRefs: [to('nobody')] }, 503],
      [{ filters: [cors()], backendRefs: [to('dead')] }, 503],
      [{ ...forwarding(cors()), ...slow }, 504],
    ];
    const service = await routes.routed(
      t,
      answers.map(([rule], n) => at(`/${n}`, rule)),
    );
    const origin = 'https://shop.example';
    routes.reply(() => {});
    for (const [n, [rule, status]] of answers.entries()) {
      const actual = await get(service, `/${n}`, { origin });
      t.is(actual.status, status, JSON.stringify(rule));
      t.is(actual.headers['access-control-allow-origin'], origin, JSON.stringify(rule));
      t.deepEqual(
        spoken(await get(service, `/${n}`, { origin: 'https://evil.example' })),
        {},
        JSON.stringify(rule),
      );
      if ((rule as { filters?: object[] }).filters === undefined) continue;
      const asked = await preflight(service, `/${n}`, { origin });
      t.deepEqual(
        [asked.status, asked.headers['access-control-allow-origin']],
        [204, origin],
        JSON.stringify(rule),
      );
    }
    await until(() => quiet(routes.front.agent), 'nothing is left');
  },
);
