import test from 'ava';
import fc from 'fast-check';
import { readSnapshot } from '../../src/protocol/read-snapshot.ts';
import { backend, cors, match, pattern, prefix, rule, value } from './routes/routes.ts';

/** One of everything that a snapshot may have. */
const WHOLE = {
  version: 1,
  mesh: 'shop',
  service: 'orders.default',
  revision: [1_700_000_000_000, 7],
  producer: {
    rules: [
      rule({
        name: 'all',
        filters: [
          {
            type: 'RequestHeaderModifier',
            modifier: { set: [['x-a', 'b']], add: [['x-b', 'ü'.normalize()]], remove: ['x-c'] },
          },
          { type: 'ResponseHeaderModifier', modifier: { set: [], add: [], remove: [] } },
          {
            type: 'URLRewrite',
            rewrite: {
              hostname: 'a.example',
              path: { type: 'ReplacePrefixMatch', prefix: '/v1', value: '/' },
            },
          },
          { type: 'RequestMirror', mirror: { service: 'copy.default', fraction: 0.5 } },
          { type: 'CORS', cors: cors({ methods: ['GET', '*'], headers: ['X-A'], expose: ['*'] }) },
          { type: 'Unsupported', what: 'ExtensionRef' },
          {
            type: 'ExternalAuth',
            auth: {
              service: 'auth.default',
              path: '/check',
              requestHeaders: ['cookie'],
              responseHeaders: ['x-user'],
              bodyBytesMax: 1_024,
            },
          },
        ],
        backends: [
          backend('orders-v2.default', { weight: 0 }),
          backend('Not A Name', { invalid: 'BackendNotFound' }),
        ],
        timeouts: { requestMs: 0, backendRequestMs: 500 },
        retry: { codes: [503], attempts: 2, backoffMs: 10 },
        session: { type: 'Cookie', name: 'sid', path: '/shop', permanent: true, absoluteMs: 60_000 },
      }),
      rule({
        backends: [],
        session: { type: 'Header', name: 'x-session' },
        filters: [
          {
            type: 'RequestRedirect',
            redirect: {
              scheme: 'https',
              hostname: 'b.example',
              port: 443,
              path: { type: 'ReplaceFullPath', value: '/x' },
              status: 302,
            },
          },
        ],
      }),
    ],
    matches: [
      match({ path: prefix('/a'), method: 'GET', headers: [value('x-a', 'b')], port: 80 }),
      match({ rule: 1, path: pattern('/b.*'), query: [value('q', 'ä b', 'RegularExpression')] }),
    ],
  },
  consumers: { shop: { rules: [], matches: [] } },
};

type Path = (string | number)[];

/** Every place in `of`, the whole not among them. */
function* places(of: unknown, path: Path = []): Generator<Path> {
  if (typeof of !== 'object' || of === null) return;
  for (const [name, part] of Object.entries(of)) {
    const step = Array.isArray(of) ? Number(name) : name;
    yield [...path, step];
    yield* places(part, [...path, step]);
  }
}

/** WHOLE with something else at one place. */
function changed(path: Path, to: unknown): Record<string, unknown> {
  const copy = structuredClone(WHOLE);
  let at: unknown = copy;
  for (const step of path.slice(0, -1)) at = (at as Record<string | number, unknown>)[step];
  (at as Record<string | number, unknown>)[path.at(-1) as string] = to;
  return JSON.parse(JSON.stringify(copy));
}

test('a snapshot with everything that there is is taken as it is', (t) => {
  const parsed = JSON.parse(JSON.stringify(WHOLE));
  t.is(readSnapshot('shop', parsed), parsed);
});

test('one of another mesh or of another version is not', (t) => {
  t.is(readSnapshot('other', WHOLE), undefined);
  for (const version of [0, 2, '1', null]) t.is(readSnapshot('shop', { ...WHOLE, version }), undefined);
});

test('no field is taken for granted: of the wrong kind it is refused wherever it stands', (t) => {
  for (const path of places(WHOLE)) {
    for (const wrong of [{ not: 'this' }, [1, 2, 3], null]) {
      t.is(
        readSnapshot('shop', changed(path, wrong)),
        undefined,
        `${path.join('.')}: ${JSON.stringify(wrong)}`,
      );
    }
  }
});

test('a field that is not known here refuses the whole, wherever it stands', (t) => {
  for (const path of places(WHOLE)) {
    const last = path.at(-1);
    if (typeof last === 'number' || path[0] === 'consumers') continue;
    const beside = [...path.slice(0, -1), 'unknown'];
    t.is(readSnapshot('shop', changed(beside, 1)), undefined, beside.join('.'));
  }
});

test('nothing that a message could be broken by is taken into one', (t) => {
  const filters = ['producer', 'rules', 0, 'filters'] as const;
  const redirect = ['producer', 'rules', 1, 'filters', 0, 'redirect'] as const;
  const wrong: [Path, unknown][] = [
    [[...filters, 0, 'modifier', 'set', 0, 1], 'a\r\nb: c'],
    [[...filters, 0, 'modifier', 'set', 0, 0], 'X-A'],
    [[...filters, 0, 'modifier', 'add', 0, 0], 'a b'],
    [[...filters, 2, 'rewrite', 'path', 'value'], '/ HTTP/1.1'],
    [[...filters, 2, 'rewrite', 'hostname'], 'a\r\nb'],
    [[...filters, 3, 'mirror', 'service'], 'Not A Name'],
    [[...filters, 3, 'mirror', 'fraction'], 1.5],
    [[...filters, 4, 'cors', 'methods', 0], 'GET\r\n'],
    [[...filters, 5, 'type'], 'Other'],
    [[...filters, 6, 'auth', 'service'], 'Not A Name'],
    [[...filters, 6, 'auth', 'path'], '//evil'],
    [[...filters, 6, 'auth', 'path'], '/a b'],
    [[...filters, 6, 'auth', 'path'], '/a?b'],
    [[...filters, 6, 'auth', 'responseHeaders', 0], 'X-User'],
    [[...filters, 6, 'auth', 'bodyBytesMax'], 1_000_000],
    [[...redirect, 'hostname'], 'a/b'],
    [[...redirect, 'status'], 200],
    [[...redirect, 'port'], 0],
    [['producer', 'rules', 0, 'backends', 0, 'service'], 'Not A Name'],
    [['producer', 'rules', 0, 'backends', 0, 'weight'], -1],
    [['producer', 'rules', 0, 'retry', 'codes', 0], 1000],
    [['producer', 'rules', 0, 'session', 'path'], '/; Domain=x'],
    [['producer', 'rules', 0, 'session', 'name'], 'a=b'],
    [['producer', 'rules', 0, 'session', 'absoluteMs'], 0],
    [['producer', 'rules', 1, 'session', 'name'], 'content-length'],
    [['producer', 'matches', 0, 'rule'], 2],
    [['producer', 'matches', 0, 'rule'], -1],
    [['consumers', 'Not_A_Label'], { rules: [], matches: [] }],
    [['service'], 'Orders'],
    [['revision', 1], -1],
  ];
  for (const [path, to] of wrong) t.is(readSnapshot('shop', changed(path, to)), undefined, path.join('.'));
});

test('whatever JSON comes, it is a snapshot or it is not, and nothing is thrown', (t) => {
  const all = [...places(WHOLE)];
  const property = fc.property(fc.constantFrom(...all), fc.jsonValue(), (path, to) => {
    readSnapshot('shop', changed(path, to));
  });
  t.notThrows(() => fc.assert(property, { numRuns: 500 }));
});

const EMPTY = { rules: [], matches: [] };
const ALIAS = {
  version: 1,
  mesh: 'shop',
  service: 'store.default',
  revision: [1, 2],
  aliasOf: 'orders.default',
  producer: EMPTY,
  consumers: {},
};

test('an alias says of which service it is one, and nothing else', (t) => {
  const read = (change: object) => readSnapshot('shop', { ...ALIAS, ...change }) !== undefined;
  t.true(read({}));
  t.true(read({ service: 'orders.example.com' }));
  t.true(read({ service: 'orders.example.com', aliasOf: undefined }), 'one that is none any more');
  t.false(read({ aliasOf: 'store.default' }), 'of itself');
  t.false(read({ aliasOf: 'orders.example.com' }), 'of what cannot be a service');
  t.false(read({ producer: WHOLE.producer }));
  t.false(read({ consumers: { shop: EMPTY } }));
  t.false(read({ exposure: 'namespace' }));
  t.false(read({ service: 'orders.example.com', aliasOf: undefined, producer: WHOLE.producer }));
  t.false(read({ service: '10.0.0.1' }));
});

test('an exposure that is not known here is refused', (t) => {
  const read = (exposure: unknown) => readSnapshot('shop', { ...WHOLE, exposure }) !== undefined;
  t.true(read('namespace'));
  for (const bad of ['mesh', 'host', '', null, 1]) t.false(read(bad), String(bad));
});
