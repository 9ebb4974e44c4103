import test from 'ava';
import { compileService } from '../../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../../src/controller/compile/resource-graph.ts';
import type { Resource } from '../../../src/controller/resources/resource.ts';
import { backend, route, service, toService } from '../resources/routes.ts';

const to = (parent: string, name: string, backends: string[] = []) =>
  route(
    { parentRefs: [toService(parent)], rules: [{ backendRefs: backends.map((one) => backend(one)) }] },
    { name },
  );
const sorted = (set: Set<string>) => [...set].sort();

test('a new, a moved and a deleted route touch their own services only', (t) => {
  const before = to('orders', 'a', ['users']);
  const graph = createCompileIndex([before, to('carts', 'b', ['users'])]);
  t.deepEqual(sorted(graph.servicesTouchedBy(undefined, to('users', 'c'))), ['users.default']);
  t.deepEqual(sorted(graph.servicesTouchedBy(before, to('carts', 'a'))), ['carts.default', 'orders.default']);
  t.deepEqual(sorted(graph.servicesTouchedBy(before, undefined)), ['orders.default']);
});

test('a Service that comes or goes touches itself and whoever sends to it', (t) => {
  const graph = createCompileIndex([to('orders', 'a', ['users']), to('carts', 'b')]);
  t.deepEqual(sorted(graph.servicesTouchedBy(undefined, service('users'))), [
    'orders.default',
    'users.default',
  ]);
  t.deepEqual(sorted(graph.servicesTouchedBy(service('users'), undefined)), [
    'orders.default',
    'users.default',
  ]);
});

test('a Service touches what its routes, its aliases and its exposure make of it, and nothing else', (t) => {
  const graph = createCompileIndex([to('orders', 'a', ['users'])]);
  t.deepEqual(sorted(graph.servicesTouchedBy(service('users'), service('users', { protocol: 'http' }))), []);
  t.deepEqual(
    sorted(
      graph.servicesTouchedBy(
        service('users', { aliases: ['old'] }),
        service('users', { aliases: ['u.example.com'] }),
      ),
    ),
    ['old.default', 'u.example.com'],
  );
  t.true(
    graph
      .servicesTouchedBy(service('users'), service('users', { exposure: 'namespace' }))
      .has('users.default'),
  );
  t.deepEqual(
    sorted(graph.servicesTouchedBy(service('users'), service('users', { ports: [{ port: 80 }] }))),
    ['orders.default', 'users.default'],
  );
});

test('mirrors refer to a service as backends do', (t) => {
  const filters = [{ type: 'RequestMirror', requestMirror: { backendRef: backend('users') } }];
  const graph = createCompileIndex([route({ rules: [{ filters }] }), to('carts', 'b')]);
  t.deepEqual(
    graph.routesReferring('users.default').map(({ metadata }) => metadata.name),
    ['route'],
  );
  t.deepEqual(sorted(graph.servicesReferring('users.default')), ['orders.default']);
  t.deepEqual(graph.routesReferring('nobody.default'), []);
});

test('a change is taken in, and what was before is forgotten', (t) => {
  const before = to('orders', 'a', ['users']);
  const after = to('carts', 'a', ['v1']);
  const graph = createCompileIndex([before]);
  t.deepEqual(sorted(graph.change(before, after)), ['carts.default', 'orders.default']);
  t.deepEqual(graph.routesOf('orders.default'), []);
  t.deepEqual(graph.routesReferring('users.default'), []);
  t.deepEqual(graph.routesOf('carts.default'), [after]);
  graph.change(after, undefined);
  t.deepEqual(graph.routesOf('carts.default'), []);
  graph.change(undefined, service('orders', { ports: [{ port: 1 }] }));
  t.deepEqual(graph.serviceSpec('orders.default'), { ports: [{ port: 1 }] });
});

test('policies that have no effect yet touch nothing', (t) => {
  const policy: Resource = {
    apiVersion: 'weft.dev/v1',
    kind: 'RateLimit',
    metadata: { name: 'a', namespace: 'default' },
    spec: { targetRef: { kind: 'Service', name: 'orders' } },
  };
  t.deepEqual(sorted(createCompileIndex([]).servicesTouchedBy(undefined, policy)), []);
});

test('10,000 services with 3 routes each compile in seconds, and a change touches one of them', (t) => {
  const resources: Resource[] = [];
  const base = to('orders', 'a', ['users']);
  const known = new Set<string>();
  for (let at = 0; at < 10_000; at++) {
    known.add(`s${at}.default`);
    for (let n = 0; n < 3; n++) {
      const rules = [
        { matches: [{ path: { value: `/p${n}` } }], backendRefs: [backend(`s${(at + n) % 10_000}`)] },
      ];
      resources.push({
        ...base,
        metadata: { name: `r${at}-${n}`, namespace: 'default' },
        spec: { parentRefs: [toService(`s${at}`)], rules },
      });
    }
  }
  const started = process.cpuUsage().user;
  const graph = createCompileIndex(resources);
  let matches = 0;
  for (const name of known) {
    matches += compileService(name, graph, known, { mesh: 'shop', epoch: 1, revision: 1 }).producer.matches
      .length;
  }
  t.is(matches, 30_000);
  t.true(process.cpuUsage().user - started < 10_000_000);
  t.deepEqual(sorted(graph.servicesTouchedBy(resources[0], undefined)), ['s0.default']);
});
