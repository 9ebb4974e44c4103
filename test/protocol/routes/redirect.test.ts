import test from 'ava';
import { redirectLocation } from '../../../src/protocol/routes/redirect.ts';
import type { Redirect } from '../../../src/protocol/snapshot.ts';

function location(
  redirect: Partial<Redirect>,
  rest: { port?: number; path?: string; query?: string } = {},
): string {
  const from = { scheme: 'http', host: 'orders', port: 80, path: '/a/b', query: '', ...rest };
  return redirectLocation({ status: 302, ...redirect }, from);
}

test('A4: a redirect keeps what its filter does not name, the query too', (t) => {
  t.is(location({}), 'http://orders/a/b');
  t.is(location({ hostname: 'example.org' }, { query: 'x=1' }), 'http://example.org/a/b?x=1');
});

test('A4: the port is that of the filter, else of its scheme, else of the service', (t) => {
  t.is(location({ port: 8443 }), 'http://orders:8443/a/b');
  t.is(location({ port: 8443, scheme: 'https' }, { port: 8080 }), 'https://orders:8443/a/b');
  t.is(location({ scheme: 'https' }, { port: 8080 }), 'https://orders/a/b');
  t.is(location({ scheme: 'http' }, { port: 8080 }), 'http://orders/a/b');
  t.is(location({}, { port: 8080 }), 'http://orders:8080/a/b');
});

test('A4: the port that the scheme implies is left out', (t) => {
  t.is(location({ port: 80 }), 'http://orders/a/b');
  t.is(location({ port: 443, scheme: 'https' }), 'https://orders/a/b');
  t.is(location({ port: 443, scheme: 'http' }), 'http://orders:443/a/b');
  t.is(location({ port: 80, scheme: 'https' }), 'https://orders:80/a/b');
});

test('A4: the path is modified as in a rewrite', (t) => {
  t.is(location({ path: { type: 'ReplaceFullPath', value: '/c' } }, { query: 'x' }), 'http://orders/c?x');
  t.is(location({ path: { type: 'ReplacePrefixMatch', prefix: '/a', value: '/c' } }), 'http://orders/c/b');
});

test('a location holds no more than one line, whatever the filter says', (t) => {
  t.is(location({ hostname: 'a\r\nset-cookie: b', scheme: 'javascript' }), 'http://orders/a/b');
  t.is(location({ path: { type: 'ReplaceFullPath', value: '/\r\nx: y' } }), 'http://orders/%0D%0Ax:%20y');
  t.is(location({}, { path: '*' }), 'http://orders/');
});
