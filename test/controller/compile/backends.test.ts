import test from 'ava';
import { backend, rules, service } from '../resources/routes.ts';
import { compile, firstRule } from './compile.ts';

test('A5: weights are kept, 0 among them', (t) => {
  const { backends } = firstRule(
    rules({ backendRefs: [backend('v1', { weight: 9 }), backend('v2', { weight: 0 })] }),
  );
  t.deepEqual(
    backends.map(({ weight }) => weight),
    [9, 0],
  );
});

test('A5: an invalid backend keeps its weight and says why', (t) => {
  const bucket = { group: 'x.dev', kind: 'Bucket', name: 'b', weight: 2 };
  const { backends } = firstRule(
    rules({ backendRefs: [backend('v1'), backend('gone', { weight: 3 }), bucket] }),
  );
  t.deepEqual(backends, [
    { service: 'v1.default', weight: 1, filters: [] },
    { service: 'gone.default', weight: 3, filters: [], invalid: 'BackendNotFound' },
    { service: 'x.dev/Bucket b', weight: 2, filters: [], invalid: 'InvalidKind' },
  ]);
});

test('A5: a service that is only written down is a valid backend: it may have no endpoint yet', (t) => {
  t.is(firstRule(rules({ backendRefs: [backend('new')] }), service('new')).backends[0]?.invalid, undefined);
});

test('A5: a port that the backend does not have is not found', (t) => {
  const users = service('users', { ports: [{ port: 8080 }] });
  t.is(firstRule(rules({ backendRefs: [backend('users')] }), users).backends[0]?.invalid, 'BackendNotFound');
  t.is(
    firstRule(rules({ backendRefs: [backend('users', { port: 8080 })] }), users).backends[0]?.invalid,
    undefined,
  );
});

test('A5: a rule without backendRefs goes to its own service', (t) => {
  const own = [{ service: 'orders.default', weight: 1, filters: [] }];
  t.deepEqual(firstRule(rules({})).backends, own);
  t.deepEqual(firstRule(rules({ backendRefs: [] })).backends, own);
});

test('A4: a mirror that leads nowhere is dropped, and the other filters stay', (t) => {
  const filters = [
    { type: 'RequestMirror', requestMirror: { backendRef: backend('gone') } },
    { type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['a'] } },
  ];
  t.deepEqual(
    firstRule(rules({ filters })).filters.map(({ type }) => type),
    ['RequestHeaderModifier'],
  );
});

test('A4: the filters of a backend stay with it', (t) => {
  const filters = [{ type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['a'] } }];
  const [v1, v2] = firstRule(rules({ backendRefs: [backend('v1', { filters }), backend('v2')] })).backends;
  t.is(v1?.filters.length, 1);
  t.is(v2?.filters.length, 0);
});

test('A9: routes attached to a backend are not applied', (t) => {
  const toUsers = rules({ backendRefs: [backend('users')] });
  t.deepEqual(compile([toUsers], 'users.default').producer, { rules: [], matches: [] });
});
