import test from 'ava';
import { aliasConflicts, aliasTarget } from '../../../src/controller/compile/alias.ts';
import { compileService } from '../../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../../src/controller/compile/resource-graph.ts';
import { resourceStatus } from '../../../src/controller/compile/status.ts';
import type { Resource } from '../../../src/controller/resources/resource.ts';
import { readSnapshot } from '../../../src/protocol/read-snapshot.ts';
import { route, service, toService } from '../resources/routes.ts';

const on = (resources: readonly Resource[], known: readonly string[] = []) => ({
  index: createCompileIndex(resources),
  knownServices: new Set(known),
});
const compiled = (name: string, ...[resources, known = []]: Parameters<typeof on>) => {
  const { index, knownServices } = on(resources, known);
  return compileService(name, index, knownServices, { mesh: 'shop', epoch: 1, revision: 2 });
};

test('every way to write an alias leads to the service', (t) => {
  const orders = service('orders', {
    aliases: ['store', 'old.shop', 'buy.mesh', 'orders.example.com', 'x.y.svc'],
  });
  for (const name of ['store.default', 'old.shop', 'buy.default', 'orders.example.com', 'x.y']) {
    t.is(aliasTarget(name, on([orders])), 'orders.default', name);
    const snapshot = compiled(name, [orders]);
    t.is(snapshot.aliasOf, 'orders.default');
    t.truthy(readSnapshot('shop', { ...snapshot }), 'agents take it');
  }
  t.is(aliasTarget('store.shop', on([orders])), undefined);
});

test('its own name is no alias', (t) => {
  const orders = service('orders', { aliases: ['orders', 'orders.mesh', 'orders.default.svc'] });
  t.is(compiled('orders.default', [orders]).aliasOf, undefined);
  t.deepEqual(aliasConflicts(orders, on([orders], ['orders.default'])), []);
});

test('a service that is there has its name, and the Service says that its alias has no effect', (t) => {
  const orders = service('orders', { aliases: ['store'] });
  const frontend = route({ parentRefs: [toService('store')] });
  for (const [why, context] of [
    ['agents serve store.default', on([orders], ['store.default'])],
    ['there is a Service store.default', on([orders, service('store')])],
    ['routes are attached to store.default', on([orders, frontend])],
  ] as const) {
    t.is(aliasTarget('store.default', context), undefined, why);
    const status = resourceStatus(orders, {
      ...context,
      generation: 1,
      nowMs: 0,
      applied: { applied: 0, of: 0 },
    });
    const conflicted = status.conditions.find(({ type }) => type === 'Conflicted');
    t.deepEqual([conflicted?.status, conflicted?.reason], ['True', 'AliasTaken']);
    t.true(conflicted?.message.startsWith(`alias store has no effect: ${why}`), conflicted?.message);
  }
  const status = resourceStatus(orders, {
    ...on([orders]),
    generation: 1,
    nowMs: 0,
    applied: { applied: 0, of: 0 },
  });
  t.false(status.conditions.some(({ type }) => type === 'Conflicted'));
});

test('of two services with one alias the first by name has it, whatever the order in which they came', (t) => {
  const a = service('a', { aliases: ['store'] });
  const b = service('b', { aliases: ['store.default'] });
  for (const resources of [
    [a, b],
    [b, a],
  ]) {
    const context = on(resources);
    t.is(aliasTarget('store.default', context), 'a.default');
    t.deepEqual(aliasConflicts(a, context), []);
    t.deepEqual(aliasConflicts(b, context), [
      'alias store.default has no effect: it is an alias of a.default too',
    ]);
  }
});

test('an alias follows the changes of its Services', (t) => {
  const a = service('a', { aliases: ['store'] });
  const b = service('b', { aliases: ['store'] });
  const index = createCompileIndex([a, b]);
  const target = () => aliasTarget('store.default', { index, knownServices: new Set() });
  t.true(index.change(a, service('a')).has('store.default'));
  t.is(target(), 'b.default');
  t.true(index.change(b, undefined).has('store.default'));
  t.is(target(), undefined);
  t.false(index.servicesReferring('store.default').has('store.default'));
  index.change(undefined, b);
  t.true(index.servicesReferring('store.default').has('store.default'), 'it changes when agents announce it');
});

test('an exposure stands in the snapshot, the default does not', (t) => {
  t.is(compiled('orders.default', [service('orders', { exposure: 'namespace' })]).exposure, 'namespace');
  t.false('exposure' in compiled('orders.default', [service('orders', { exposure: 'mesh' })]));
});
