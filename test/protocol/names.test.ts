import test from 'ava';
import fc from 'fast-check';
import {
  agentId,
  agentOfId,
  isLabel,
  isPublishedName,
  isServiceName,
  nameOfAuthority,
  parseServiceName,
  serviceOfAuthority,
  serviceOfWorkloadId,
  serviceParts,
  workloadId,
} from '../../src/protocol/names.ts';
import { label, service } from './arbitraries.ts';

test('a label is a lower-case DNS label of at most 63 characters', (t) => {
  for (const good of ['a', '0', 'web-1', 'a--b', 'a'.repeat(63)]) t.true(isLabel(good), good);
  for (const bad of ['', '-a', 'a-', 'A', 'a_b', 'a.b', 'a b', 'a\n', 'é', '*', '>', 'a'.repeat(64)]) {
    t.false(isLabel(bad), JSON.stringify(bad));
  }
});

test('a service name gets the default namespace, and keeps its own', (t) => {
  t.is(parseServiceName('orders'), 'orders.default');
  t.is(parseServiceName('orders.shop'), 'orders.shop');
  for (const bad of ['', '.', 'orders.', '.shop', 'a.b.c', 'Orders', 'orders.shop\n', 'orders.*']) {
    t.is(parseServiceName(bad), undefined, bad);
  }
});

test('every documented form of an authority names its service', (t) => {
  const forms: [string, string][] = [
    ['orders', 'orders.front'],
    ['orders.shop-ns', 'orders.shop-ns'],
    ['orders.shop-ns.svc', 'orders.shop-ns'],
    ['orders.shop-ns.svc.cluster.local', 'orders.shop-ns'],
    ['orders.mesh', 'orders.front'],
    ['orders.shop-ns.mesh', 'orders.shop-ns'],
    ['orders.mesh.svc', 'orders.mesh'],
    ['ORDERS.Shop-NS', 'orders.shop-ns'],
    ['orders.', 'orders.front'],
    ['orders:', 'orders.front'],
    ['orders.shop-ns.:8080', 'orders.shop-ns'],
  ];
  for (const [authority, expected] of forms) {
    t.is(serviceOfAuthority(authority, 'front'), expected, authority);
    if (!authority.includes(':')) t.is(serviceOfAuthority(`${authority}:8080`, 'front'), expected, authority);
  }
});

test('an authority outside the mesh names no service', (t) => {
  const others = [
    '',
    '.',
    ':80',
    '127.0.0.1',
    '[::1]:80',
    'user@orders',
    'orders..',
    'orders.shop.svc.cluster.example',
    'a.b.c.d.e.f',
    'orders:80:80',
    'orders:x',
    'orders:800000',
    'www.example.com',
    'or%64ers',
    'orders.shop\n',
    `${'a.'.repeat(5000)}b`,
  ];
  for (const authority of others) t.is(serviceOfAuthority(authority, 'front'), undefined, authority);
});

test('whatever an authority is, its service is canonical', (t) => {
  const piece = fc.constantFrom(
    'orders',
    'shop',
    'svc',
    'mesh',
    'cluster',
    'local',
    '.',
    ':',
    '80',
    '-',
    'É',
    '@',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((all) => all.join('')),
      ),
      (authority) => {
        const found = serviceOfAuthority(authority, 'front');
        t.true(found === undefined || isServiceName(found));
      },
    ),
  );
  t.pass();
});

test('an authority is looked up by the service that it names, or else by its host name', (t) => {
  t.is(nameOfAuthority('orders:80', 'front'), 'orders.front');
  t.is(nameOfAuthority('orders.shop.svc', 'front'), 'orders.shop');
  for (const authority of [
    'orders.example.com',
    'Orders.Example.COM',
    'orders.example.com.',
    'orders.example.com:8080',
  ]) {
    t.is(nameOfAuthority(authority, 'front'), 'orders.example.com', authority);
  }
  const longest = ['a'.repeat(63), 'b'.repeat(63), 'c'.repeat(63), 'd'.repeat(8)].join('.');
  t.is(nameOfAuthority(longest, 'front'), longest);
  for (const bad of [
    `${longest}e`,
    '127.0.0.1:15001',
    'a.b.1',
    'orders.example.com:x',
    'orders..example.com',
    '.orders.example.com',
    'orders.-example.com',
    'ord_ers.example.com',
    '[::1]',
    '',
  ]) {
    t.is(nameOfAuthority(bad, 'front'), undefined, bad);
  }
});

test('a snapshot may be about a service or a host name', (t) => {
  for (const name of ['orders.default', 'orders.example.com']) t.true(isPublishedName(name), name);
  for (const bad of ['orders', 'Orders.default', '1.2.3.4', 'a.*.c', 'a.b.>', 'a..b'])
    t.false(isPublishedName(bad), bad);
});

test('SPIFFE IDs come back as the names they were made from', (t) => {
  t.is(workloadId('shop', 'checkout.default'), 'spiffe://shop/ns/default/sa/checkout');
  t.is(agentId('shop', 'web-1'), 'spiffe://shop/agent/web-1');
  fc.assert(
    fc.property(label, service, label, (mesh, name, agent) => {
      t.is(serviceOfWorkloadId(mesh, workloadId(mesh, name)), name);
      t.is(agentOfId(mesh, agentId(mesh, agent)), agent);
      const parts = serviceParts(name);
      t.is(`${parts.name}.${parts.namespace}`, name);
    }),
  );
});

test('a SPIFFE ID of another mesh, of another kind or with more to it is nobody', (t) => {
  for (const id of [
    'spiffe://other/ns/default/sa/checkout',
    'spiffe://shop/ns/default/sa/checkout/x',
    'spiffe://shop/ns/default/sa/checkout/',
    'spiffe://shop/ns/default/sa/',
    'spiffe://shop/ns//sa/checkout',
    'spiffe://shop/ns/default/xx/checkout',
    'spiffe://shop/agent/web-1',
    '',
  ]) {
    t.is(serviceOfWorkloadId('shop', id), undefined, id);
  }
  for (const id of [
    'spiffe://other/agent/a',
    'spiffe://shop/agent/',
    'spiffe://shop/agent/a/b',
    'spiffe://shop',
  ]) {
    t.is(agentOfId('shop', id), undefined, id);
  }
});
