import test from 'ava';
import { readSnapshot } from '../../../src/protocol/read-snapshot.ts';
import { createRouteTable } from '../../../src/protocol/routes/route-table.ts';
import { backend, route, rules, toService } from '../resources/routes.ts';
import { compile } from './compile.ts';

const FILTERS = [
  {
    type: 'RequestHeaderModifier',
    requestHeaderModifier: { set: [{ name: 'A', value: 'b' }], remove: ['c'] },
  },
  {
    type: 'URLRewrite',
    urlRewrite: { hostname: 'a.x', path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '' } as const },
  },
  { type: 'RequestMirror', requestMirror: { backendRef: backend('users'), percent: 10 } },
  { type: 'CORS', cors: { allowOrigins: ['https://*.x'] } },
  { type: 'ExtensionRef', extensionRef: { group: 'x.dev', kind: 'Thing', name: 'a' } },
];
const ROUTES = [
  rules(
    {
      filters: FILTERS,
      backendRefs: [
        backend('v1', { filters: FILTERS }),
        backend('gone'),
        { name: 'b', kind: 'Bucket', group: 'x.dev' },
      ],
    },
    {
      matches: [{ path: { type: 'Exact', value: '/a' }, method: 'GET' }],
      filters: [{ type: 'RequestRedirect', requestRedirect: { port: 8443, scheme: 'https' } }],
    },
    {
      matches: [
        {
          path: { type: 'RegularExpression', value: '/[a-z]+' },
          headers: [{ name: 'X', value: '1' }],
          queryParams: [{ name: 'q', value: '1' }],
        },
      ],
      timeouts: { request: '2s' },
      retry: { codes: [503], attempts: 2 },
    },
  ),
  route(
    { parentRefs: [toService('orders', { namespace: 'default', port: 80 })] },
    { namespace: 'shop', name: 'consumer' },
  ),
];

test('agents can read what is compiled, and route by it', (t) => {
  const sent = JSON.parse(JSON.stringify(compile(ROUTES))) as Record<string, unknown>;
  const snapshot = readSnapshot('shop', sent);
  t.deepEqual(snapshot as unknown, sent);
  const table = createRouteTable(snapshot!.producer);
  const find = (method: string, path: string) =>
    table.find({ method, path, query: '', fields: [], port: 80 })?.index;
  t.deepEqual([find('GET', '/a'), find('POST', '/a'), find('GET', '/zz')], [1, 0, 0]);
  t.is(snapshot?.consumers.shop?.matches[0]?.port, 80);
});
