import test from 'ava';
import {
  keyOf,
  kindOf,
  parseResourceKey,
  parseResourceRef,
  resourceKey,
} from '../../../src/controller/resources/resource.ts';
import { route } from './routes.ts';

test('a key names kind, namespace and name, whatever dots the name has', (t) => {
  const key = resourceKey(route({}, { name: 'a.b.c', namespace: 'shop' }));
  t.is(key, 'httproute.shop.a.b.c');
  t.regex(key, /^[-/_=.a-zA-Z0-9]+$/);
  t.deepEqual(parseResourceKey(key), { kind: 'HTTPRoute', namespace: 'shop', name: 'a.b.c' });
});

test('a key that is none is not taken for one', (t) => {
  for (const key of [
    '',
    'httproute',
    'httproute.shop',
    'httproute.shop.',
    'pod.shop.a',
    'httproute.Shop.a',
    'httproute.shop.a..b',
  ]) {
    t.is(parseResourceKey(key), undefined, key);
  }
});

test('people name resources as kind/name or kind name, in any of the words for the kind', (t) => {
  const orders = { kind: 'HTTPRoute', namespace: 'shop', name: 'orders' };
  for (const words of [
    ['httproute/orders'],
    ['HTTPRoute', 'orders'],
    ['hr/orders'],
    ['httproutes', 'orders'],
  ]) {
    t.deepEqual(parseResourceRef(words, 'shop'), orders, words.join(' '));
  }
  t.is(kindOf('svc')?.kind, 'Service');
  t.is(keyOf(orders), 'httproute.shop.orders');
});

test('what is no reference is undefined', (t) => {
  for (const words of [
    [],
    ['httproute'],
    ['httproute/'],
    ['pod/x'],
    ['httproute', 'a', 'b'],
    ['httproute/A'],
    ['httproute/a', 'b'],
  ]) {
    t.is(parseResourceRef(words, 'shop'), undefined, words.join(' '));
  }
  t.is(parseResourceRef(['svc/x'], 'no.label'), undefined);
});
