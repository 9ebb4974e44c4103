import test from 'ava';
import { Router } from '../../../src/agent/outbound/router.ts';
import { WeftError } from '../../../src/protocol/errors.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';

test('a name without a namespace is in the namespace of the caller', (t) => {
  const router = new Router('shop');
  t.is(router.nameOf('orders'), 'orders.shop');
  t.is(router.nameOf('orders:8080'), 'orders.shop');
  t.is(router.nameOf('orders.other'), 'orders.other');
  t.is(router.nameOf('orders.other.svc.cluster.local:80'), 'orders.other');
});

test('a host name stays as it is, because an alias may be behind it', (t) => {
  const router = new Router('default');
  t.is(router.nameOf('WWW.Example.com.:8080'), 'www.example.com');
});

test('an authority that names no service is refused, again and again', (t) => {
  const router = new Router('default');
  for (const authority of [
    '127.0.0.1',
    '127.0.0.1:80',
    'www.example.com:x',
    'www.ex_ample.com',
    '',
    'Ω',
    'a b',
    '[::1]:80',
    'a..b',
  ]) {
    for (let time = 0; time < 2; time++) {
      const error = t.throws(() => router.nameOf(authority), { instanceOf: WeftError }, authority);
      t.is(error?.code, 'not_a_proxy_target');
    }
  }
});

test('more authorities than are remembered are answered all the same', (t) => {
  const router = new Router('default');
  for (let count = 0; count < LIMITS.authoritiesMax * 2 + 3; count++) {
    if (router.nameOf(`orders:${count}`) !== 'orders.default') t.fail();
  }
  t.is(router.nameOf('orders:1'), 'orders.default');
});
