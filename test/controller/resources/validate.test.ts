import test from 'ava';
import fc from 'fast-check';
import { KINDS } from '../../../src/controller/resources/resource.ts';
import { validateResource } from '../../../src/controller/resources/validate.ts';
import { rawRoute, ruleRoute, said, valid } from './routes.ts';

test('A6.4: a spec is kept as it was written, its durations too; only the namespace is filled in', (t) => {
  const spec = {
    parentRefs: [{ group: '', kind: 'Service', name: 'a' }],
    rules: [{ timeouts: { request: '150m' } }],
  };
  const resource = valid(rawRoute(spec));
  t.deepEqual(resource.spec, spec);
  t.deepEqual(resource.metadata, { name: 'route', namespace: 'default' });
});

test('A6.4: durations of several units are taken, in any order and repeated, and mean their sum', (t) => {
  for (const [request, backendRequest, fits] of [
    ['1h30m', '90m', true],
    ['150m', '2h30m', true],
    ['1h2h', '180m', true],
    ['01h', '61m', false],
    ['500ms1s', '1501ms', false],
    ['99999h', '99998h59m', true],
  ] as const) {
    const faults = said(ruleRoute({ timeouts: { request, backendRequest } }));
    t.is(faults.length, fits ? 0 : 1, faults.join('\n') || `${backendRequest} is within ${request}`);
  }
});

test('what a controller printed can be applied again', (t) => {
  const metadata = {
    generation: 3,
    resourceVersion: '7',
    revision: 7,
    uid: 'x',
    creationTimestamp: '2026-08-01T12:00:00Z',
  };
  const resource = valid({ ...rawRoute({}, metadata), status: { parents: [] } });
  t.deepEqual(Object.keys(resource), ['apiVersion', 'kind', 'metadata', 'spec']);
  t.deepEqual(resource.metadata, {
    name: 'route',
    namespace: 'default',
    creationTimestamp: '2026-08-01T12:00:00Z',
  });
  t.deepEqual(valid(resource), resource);
});

test('a creationTimestamp is a time or null', (t) => {
  t.is(valid(rawRoute({}, { creationTimestamp: null })).metadata.creationTimestamp, undefined);
  for (const creationTimestamp of ['yesterday', '2026-13-01T00:00:00Z', 7]) {
    t.is(said(rawRoute({}, { creationTimestamp })).length, 1);
  }
});

test('an unknown field is refused with its path and what was probably meant', (t) => {
  t.deepEqual(said(ruleRoute({ backendRef: [] })), [
    'spec.rules[0].backendRef: found an unknown field, expected backendRefs (is that what was meant?)',
  ]);
});

test('an unknown kind is refused with what was probably meant', (t) => {
  t.deepEqual(said({ kind: 'HttpRoute' }), [
    'kind: found "HttpRoute", expected HTTPRoute (is that what was meant?)',
  ]);
});

test('A11: a GRPCRoute is refused with the reason, and with what to do instead', (t) => {
  const faults = said({
    ...rawRoute({ rules: [{ matches: [{ method: { service: 'a.B' } }] }] }),
    kind: 'GRPCRoute',
  });
  t.is(faults.length, 1);
  t.regex(faults[0] ?? '', /^kind: found "GRPCRoute", expected HTTPRoute: Weft carries HTTP\/1\.1 only/);
  t.regex(faults[0] ?? '', /call their servers directly/);
  t.regex(faults[0] ?? '', /over HTTP\/1\.1 too/);
});

test('everything that is wrong is said at once', (t) => {
  const faults = said(
    rawRoute({ rules: [{ retry: { attempts: 0 } }, { timeouts: { request: '1' } }] }, { name: 'A' }),
  );
  t.is(faults.length, 3, faults.join('\n'));
});

const OURS: readonly (readonly [string, string, object])[] = [
  ['Service', 'with nothing', {}],
  [
    'Service',
    'with everything',
    {
      aliases: ['orders.example.com'],
      protocol: 'http',
      exposure: 'mesh',
      ports: [{ port: 80, name: 'http' }],
    },
  ],
  [
    'TrafficPolicy',
    'with everything',
    {
      targetRef: { kind: 'Service', name: 'orders' },
      loadBalancing: { type: 'hash', hash: { header: 'x-user' } },
      timeouts: { request: '1s', backendRequest: '500ms' },
      retryBudget: { percent: 20, interval: '10s', minPerSecond: 10 },
      breaker: { consecutiveFailures: 7, minDelay: '1s', maxDelay: '60s' },
      outlierEjection: {
        consecutiveErrors: 5,
        interval: '10s',
        baseEjection: '30s',
        maxEjection: '300s',
        maxEjectionPercent: 10,
      },
      limits: { concurrency: 100, queue: 0, connections: 10 },
      faults: { delay: { duration: '1s', percent: 1 }, abort: { status: 503, percent: 0 } },
    },
  ],
  [
    'AuthorizationPolicy',
    'for a service',
    {
      targetRef: { kind: 'Service', name: 'orders' },
      action: 'ALLOW',
      rules: [
        {
          from: [{ services: ['checkout'] }],
          to: [{ methods: ['GET'], paths: ['/a/*'] }],
          when: [{ header: 'x', values: ['1'] }],
        },
      ],
    },
  ],
  ['AuthorizationPolicy', 'for the mesh', { targetRef: { kind: 'Mesh' }, action: 'DENY', rules: [{}] }],
  [
    'RateLimit',
    'by caller',
    {
      targetRef: { kind: 'Service', name: 'orders' },
      limits: [{ requests: 10, per: '1s', by: { caller: true } }],
    },
  ],
];

const ours = (kind: string, spec: object) => ({
  apiVersion: 'weft.dev/v1',
  kind,
  metadata: { name: 'x' },
  spec,
});

for (const [kind, claim, spec] of OURS) {
  test(`a ${kind} ${claim} is accepted`, (t) => t.deepEqual(said(ours(kind, spec)), []));
}

const WRONG: readonly (readonly [string, object, string])[] = [
  ['Service', { protocol: 'grpc' }, 'spec.protocol'],
  ['Service', { ports: [{ port: 80 }, { port: 80 }] }, 'spec.ports[1].port'],
  ['Service', { aliases: ['a', 'a'] }, 'spec.aliases'],
  ['Service', { aliases: ['orders.example.com', '10.0.0.1'] }, 'spec.aliases[1]'],
  ['Service', { aliases: [`${'a.'.repeat(100)}a`] }, 'spec.aliases[0]'],
  ['TrafficPolicy', {}, 'spec.targetRef'],
  ['TrafficPolicy', { targetRef: { kind: 'Mesh' } }, 'spec.targetRef.kind'],
  [
    'TrafficPolicy',
    { targetRef: { kind: 'Service', name: 'a' }, loadBalancing: { type: 'hash' } },
    'spec.loadBalancing.hash',
  ],
  [
    'TrafficPolicy',
    { targetRef: { kind: 'Service', name: 'a' }, loadBalancing: { type: 'random' } },
    'spec.loadBalancing.type',
  ],
  [
    'AuthorizationPolicy',
    { targetRef: { kind: 'Service' }, action: 'ALLOW', rules: [] },
    'spec.targetRef.name',
  ],
  ['AuthorizationPolicy', { targetRef: { kind: 'Mesh' }, action: 'Allow', rules: [] }, 'spec.action'],
  ['RateLimit', { targetRef: { kind: 'Service', name: 'a' }, limits: [] }, 'spec.limits'],
];

for (const [kind, spec, field] of WRONG) {
  test(`a ${kind} with a wrong ${field} is refused there`, (t) => {
    const faults = said(ours(kind, spec));
    t.true(
      faults.some((fault) => fault.startsWith(`${field}: `)),
      faults.join('\n') || 'it was accepted',
    );
  });
}

test('whatever the value, there is a resource or a list of faults', (t) => {
  const field = fc.constantFrom(
    'rules',
    'matches',
    'filters',
    'backendRefs',
    'path',
    'type',
    'value',
    'headers',
    'cors',
    'name',
  );
  const spec = fc.dictionary(field, fc.jsonValue());
  const value = fc.oneof(
    fc.jsonValue(),
    fc.anything(),
    fc.record({
      apiVersion: fc.constantFrom('weft.dev/v1', 'gateway.networking.k8s.io/v1'),
      kind: fc.constantFrom(...KINDS.map(({ kind }) => kind)),
      metadata: fc.oneof(fc.constant({ name: 'x' }), fc.jsonValue()),
      spec: fc.oneof(fc.jsonValue(), spec, fc.record({ rules: fc.array(spec) })),
    }),
  );
  fc.assert(
    fc.property(value, (any) => {
      const { resource, faults } = validateResource(any);
      t.is(resource === undefined, faults.length > 0);
      for (const { found, expected } of faults) t.true(found.length > 0 && expected.length > 0);
    }),
    { numRuns: 500 },
  );
});

test('a value that is nested without end is refused', (t) => {
  let deep: unknown = 1;
  for (let level = 0; level < 50_000; level++) deep = { spec: deep };
  t.is(validateResource(deep).faults.length, 1);
  const loop: Record<string, unknown> = { kind: 'Service' };
  loop.spec = loop;
  t.is(validateResource(loop).faults.length, 1);
});
