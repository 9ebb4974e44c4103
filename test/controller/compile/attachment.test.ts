import test from 'ava';
import { route, service, toService } from '../resources/routes.ts';
import { compile, order } from './compile.ts';

const orders = (more: object = {}) => toService('orders', { namespace: 'default', ...more });
const named = (name: string, namespace: string, parentRefs = [orders()]) =>
  route({ parentRefs, rules: [{ name }] }, { name, namespace });

test('A9: no route attached is an empty set: traffic flows as without a mesh', (t) => {
  t.deepEqual(compile([]).producer, { rules: [], matches: [] });
  t.deepEqual(compile([]).consumers, {});
});

test('A9: routes of the namespace of the service are the producer; of other namespaces, consumers', (t) => {
  const { producer, consumers } = compile([
    named('a', 'default'),
    named('b', 'shop'),
    named('c', 'shop'),
    named('d', 'web'),
  ]);
  t.deepEqual(
    producer.rules.map(({ route }) => route),
    ['default/a'],
  );
  t.deepEqual(Object.keys(consumers), ['shop', 'web']);
  t.deepEqual(
    consumers.shop?.rules.map(({ route }) => route),
    ['shop/b', 'shop/c'],
  );
});

test('A9: a parentRef with a port holds for that port only, and one without for all', (t) => {
  t.deepEqual(
    compile([named('a', 'default', [orders({ port: 80 })])]).producer.matches.map(({ port }) => port),
    [80],
  );
  t.deepEqual(
    compile([named('a', 'default')]).producer.matches.map(({ port }) => port),
    [undefined],
  );
});

test('A9: two parentRefs with different ports attach the route to both', (t) => {
  const { rules, matches } = compile([
    named('a', 'default', [orders({ port: 80 }), orders({ port: 81 })]),
  ]).producer;
  t.is(rules.length, 1);
  t.deepEqual(
    matches.map(({ port }) => port),
    [80, 81],
  );
});

test('A9: a sectionName is the name of a port of the service', (t) => {
  const ports = service('orders', {
    ports: [
      { port: 80, name: 'http' },
      { port: 81, name: 'admin' },
    ],
  });
  const on = (more: object) =>
    compile([named('a', 'default', [orders(more)]), ports]).producer.matches.map(({ port }) => port);
  t.deepEqual(on({ sectionName: 'admin' }), [81]);
  t.deepEqual(on({ sectionName: 'admin', port: 81 }), [81]);
  t.deepEqual(on({ sectionName: 'admin', port: 80 }), []);
  t.deepEqual(on({ sectionName: 'grpc' }), []);
  t.deepEqual(on({ port: 82 }), []);
});

test('A9: a consumer route that is not attached leaves its callers to the producer', (t) => {
  const { consumers } = compile([named('b', 'shop', [orders({ sectionName: 'no' })]), named('a', 'default')]);
  t.deepEqual(consumers, {});
});

test('A10: a parent of another kind is no parent', (t) => {
  const gateway = route({ parentRefs: [{ name: 'orders' }, orders({ kind: 'Gateway' })] });
  t.deepEqual(compile([gateway]).producer.rules, []);
});

test('A9: hostnames are not used for matching', (t) => {
  const hosts = route({ hostnames: ['other.example'], rules: [{ name: 'a' }] });
  t.deepEqual(order(compile([hosts])), ['a']);
  t.false(JSON.stringify(compile([hosts])).includes('other.example'));
});
