import test from 'ava';
import { normalisePath } from '../../../src/protocol/authorization/normal-path.ts';
import { ComparedPath, pathTest, patternFault } from '../../../src/protocol/authorization/path-pattern.ts';

const fits = (pattern: string, path: string) =>
  pathTest([pattern]).fits(new ComparedPath(normalisePath(path).text));

for (const [pattern, fitting, others] of [
  ['/admin', ['/admin', '/admin/', '/%61dmin', '//admin'], ['/admin/x', '/Admin', '/admins', '/']],
  ['/admin/', ['/admin', '/admin/'], ['/admin/x']],
  ['/admin/*', ['/admin/', '/admin/x', '/admin/x/y', '/x/../admin/y'], ['/admin', '/admins']],
  ['/adm*', ['/adm', '/admin', '/adm/x'], ['/ad']],
  ['/*', ['/', '/x'], ['*']],
  ['/', ['/', '/.'], ['/x']],
  ['/orders/{id}', ['/orders/7', '/orders/7/', '/orders/a%20b'], ['/orders', '/orders/', '/orders/7/items']],
  ['/{a}/items/{b}', ['/1/items/2'], ['/1/item/2', '/1/items']],
  ['/orders/{id}/*', ['/orders/7/', '/orders/7/x', '/orders/7/x/y'], ['/orders/7', '/orders', '/order/7/x']],
  ['/orders/{id}/it*', ['/orders/7/items', '/orders/7/it/x'], ['/orders/7/', '/orders/7/x']],
  ['/a%20b', ['/a%20b'], ['/a+b', '/ab']],
  ['/caf%c3%a9', ['/caf%C3%A9'], ['/cafe']],
  ['/a%2A', ['/a*', '/a%2a'], ['/ab']],
] as const) {
  test(`${pattern} fits ${fitting.join(' ')} and not ${others.join(' ')}`, (t) => {
    t.is(patternFault(pattern), undefined);
    for (const path of fitting) t.true(fits(pattern, path), path);
    for (const path of others) t.false(fits(pattern, path), path);
  });
}

for (const [pattern, expected] of [
  ['/a*b', /\* at the end only/],
  ['/a**', /\* at the end only/],
  ['/v{n}', /braces around a name/],
  ['/{**}', /\* at the end only/],
  ['/a/{}', /braces around a name/],
  ['/a/{id}*', /slash between/],
  ['/a//b', /normal form/],
  ['/a/../b', /normal form/],
  ['/a/./b', /normal form/],
  ['/a;b', /normal form/],
  ['/a%2Fb', /normal form/],
  ['/a%2*', /normal form/],
  ['/a?b', /normal form/],
] as const) {
  test(`${pattern} is no pattern`, (t) => {
    t.regex(patternFault(pattern) ?? '', expected);
    t.false(fits(pattern, '/a'));
  });
}
