import test from 'ava';
import { backend, route, rules } from '../resources/routes.ts';
import { compile, firstRule } from './compile.ts';

const EVERYTHING = { rule: 0, path: { type: 'PathPrefix', value: '/' }, headers: [], query: [] };

test('A snapshot says what it is', (t) => {
  const { version, mesh, service, revision } = compile([]);
  t.deepEqual(
    { version, mesh, service, revision },
    { version: 1, mesh: 'shop', service: 'orders.default', revision: [1, 2] },
  );
});

test('A1: rules left out are one rule that matches everything', (t) => {
  const { producer } = compile([route({})]);
  t.deepEqual(producer.matches, [EVERYTHING]);
  t.is(producer.rules.length, 1);
});

test('A1: matches left out, and an empty list of them, mean everything', (t) => {
  t.deepEqual(compile([rules({})]).producer.matches, [EVERYTHING]);
  t.deepEqual(compile([rules({ matches: [] })]).producer.matches, [EVERYTHING]);
});

test('A1: path, header and query types have defaults', (t) => {
  const match = {
    path: {},
    headers: [{ name: 'X-A', value: '1' }],
    queryParams: [{ name: 'Q', value: '2' }],
  };
  t.deepEqual(compile([rules({ matches: [match] })]).producer.matches, [
    {
      rule: 0,
      path: { type: 'PathPrefix', value: '/' },
      headers: [{ type: 'Exact', name: 'x-a', value: '1' }],
      query: [{ type: 'Exact', name: 'Q', value: '2' }],
    },
  ]);
  t.is(
    compile([rules({ matches: [{ path: { value: '/a' } }] })]).producer.matches[0]?.path.type,
    'PathPrefix',
  );
  t.is(compile([rules({ matches: [{ path: { type: 'Exact' } }] })]).producer.matches[0]?.path.value, '/');
});

test('A3: of equivalent header names the first counts', (t) => {
  const headers = [
    { name: 'Foo', value: '1' },
    { name: 'foo', value: '2' },
  ];
  t.deepEqual(compile([rules({ matches: [{ headers }] })]).producer.matches[0]?.headers, [
    { type: 'Exact', name: 'foo', value: '1' },
  ]);
});

test('A1: a backendRef is a service of the namespace of the route, with weight 1', (t) => {
  t.deepEqual(firstRule(rules({ backendRefs: [backend('users')] })).backends, [
    { service: 'users.default', weight: 1, filters: [] },
  ]);
  const other = route(
    {
      parentRefs: [{ group: '', kind: 'Service', name: 'orders', namespace: 'default' }],
      rules: [{ backendRefs: [backend('users')] }],
    },
    { namespace: 'shop' },
  );
  t.is(compile([other]).consumers.shop?.rules[0]?.backends[0]?.service, 'users.shop');
});

test('A1: a parentRef names a service of the namespace of the route', (t) => {
  const shop = route({ rules: [{}] }, { namespace: 'shop' });
  t.is(compile([shop], 'orders.shop').producer.rules.length, 1);
  t.deepEqual(compile([shop]).consumers, {});
});

test('A1: a redirect is 302, and needs no backend', (t) => {
  const rule = firstRule(
    rules({ filters: [{ type: 'RequestRedirect', requestRedirect: { hostname: 'a.x' } }] }),
  );
  t.deepEqual(rule.filters, [{ type: 'RequestRedirect', redirect: { hostname: 'a.x', status: 302 } }]);
  t.deepEqual(rule.backends, []);
});

test('A1: cors.maxAge is 5, and no list is an empty one', (t) => {
  t.deepEqual(firstRule(rules({ filters: [{ type: 'CORS', cors: {} }] })).filters, [
    {
      type: 'CORS',
      cors: { origins: [], credentials: false, methods: [], headers: [], expose: [], maxAgeSeconds: 5 },
    },
  ]);
});

test('A1: a mirror is for all requests, a fraction is of 100, a percentage of 100', (t) => {
  const fraction = (more: object) => {
    const mirror = { type: 'RequestMirror', requestMirror: { backendRef: backend('users'), ...more } };
    const [filter] = firstRule(rules({ filters: [mirror] })).filters;
    return filter?.type === 'RequestMirror' ? filter.mirror.fraction : undefined;
  };
  t.is(fraction({}), 1);
  t.is(fraction({ percent: 0 }), 0);
  t.is(fraction({ percent: 25 }), 0.25);
  t.is(fraction({ fraction: { numerator: 5 } }), 0.05);
  t.is(fraction({ fraction: { numerator: 1, denominator: 3 } }), 1 / 3);
});

test('A4: an authorization service gets no path, no more headers and no body unless it is said, and may not be there', (t) => {
  const auth = (name: string, http: object, more: object = {}) => {
    const externalAuth = { protocol: 'HTTP' as const, backendRef: backend(name), http, ...more };
    const [filter] = firstRule(rules({ filters: [{ type: 'ExternalAuth', externalAuth }] })).filters;
    return filter?.type === 'ExternalAuth' ? filter.auth : undefined;
  };
  const least = { path: '', requestHeaders: [], responseHeaders: [], bodyBytesMax: 0 };
  t.deepEqual(auth('users', {}), { service: 'users.default', ...least });
  t.deepEqual(auth('gone', { path: '/' }), { service: 'gone.default', ...least, invalid: 'BackendNotFound' });
  const http = { allowedHeaders: ['X-A'], allowedResponseHeaders: ['X-B'] };
  for (const path of ['/a/b', 'a/b/', '//a/b//']) {
    t.deepEqual(auth('users', { ...http, path }, { forwardBody: { maxSize: 9 } }), {
      service: 'users.default',
      path: '/a/b',
      requestHeaders: ['x-a'],
      responseHeaders: ['x-b'],
      bodyBytesMax: 9,
    });
  }
});

test('A1: timeouts and retry that are unset are absent; 0s is 0', (t) => {
  t.deepEqual(firstRule(rules({})).timeouts, {});
  t.is(firstRule(rules({})).retry, undefined);
  t.deepEqual(firstRule(rules({ timeouts: { request: '0s', backendRequest: '1m30s' } })).timeouts, {
    requestMs: 0,
    backendRequestMs: 90_000,
  });
});

test('A1 and A7: an empty retry stanza is one more try after connection errors', (t) => {
  t.deepEqual(firstRule(rules({ retry: {} })).retry, { codes: [], attempts: 1, backoffMs: 0 });
  t.deepEqual(firstRule(rules({ retry: { codes: [503], attempts: 3, backoff: '100ms' } })).retry, {
    codes: [503],
    attempts: 3,
    backoffMs: 100,
  });
});

test('header names of modifiers are in lower case', (t) => {
  const requestHeaderModifier = {
    set: [{ name: 'X-A', value: 'A' }],
    add: [{ name: 'X-B', value: 'B' }],
    remove: ['X-C'],
  };
  t.deepEqual(
    firstRule(rules({ filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier }] })).filters,
    [
      {
        type: 'RequestHeaderModifier',
        modifier: { set: [['x-a', 'A']], add: [['x-b', 'B']], remove: ['x-c'] },
      },
    ],
  );
});

test('A4: ReplacePrefixMatch carries the prefix of the only match', (t) => {
  const urlRewrite = { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } } as const;
  const filters = [{ type: 'URLRewrite', urlRewrite }];
  const path = (rule: object) => {
    const [filter] = firstRule(rules({ filters, ...rule })).filters;
    return filter?.type === 'URLRewrite' ? filter.rewrite.path : undefined;
  };
  t.deepEqual(path({ matches: [{ path: { value: '/a/' } }] }), {
    type: 'ReplacePrefixMatch',
    prefix: '/a/',
    value: '/x',
  });
  t.deepEqual(path({}), { type: 'ReplacePrefixMatch', prefix: '/', value: '/x' });
});

test('A4: a filter that nobody here knows is kept as one that fails', (t) => {
  const extensionRef = { group: 'x.dev', kind: 'Thing', name: 'a' };
  t.deepEqual(firstRule(rules({ filters: [{ type: 'ExtensionRef', extensionRef }] })).filters, [
    { type: 'Unsupported', what: 'ExtensionRef x.dev/Thing a' },
  ]);
});
