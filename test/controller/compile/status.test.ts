import test from 'ava';
import { createCompileIndex } from '../../../src/controller/compile/resource-graph.ts';
import { type RouteStatus, resourceStatus, routeStatus } from '../../../src/controller/compile/status.ts';
import type { HttpRoute } from '../../../src/controller/resources/http-route.ts';
import type { Resource } from '../../../src/controller/resources/resource.ts';
import { backend, route, rules, service, toService } from '../resources/routes.ts';
import { KNOWN } from './compile.ts';

interface Given {
  readonly resources?: readonly Resource[];
  readonly generation?: number;
  readonly nowMs?: number;
  readonly applied?: number;
  readonly previous?: RouteStatus;
}

function statusOf(
  of: HttpRoute,
  { resources = [], generation = 1, nowMs = 0, applied = 2, previous }: Given = {},
): RouteStatus {
  const context = {
    index: createCompileIndex([of, ...resources]),
    knownServices: KNOWN,
    generation,
    nowMs,
    appliedOf: () => ({ applied, of: 2 }),
  };
  return routeStatus(of, context, previous);
}

/** `Accepted=True Accepted: …` of the first parent. */
function said(status: RouteStatus): string[] {
  return (status.parents[0]?.conditions ?? []).map(
    ({ type, status: is, reason, message }) => `${type}=${is} ${reason}: ${message}`,
  );
}

const auth = {
  type: 'ExternalAuth',
  externalAuth: { protocol: 'GRPC' as const, grpc: {}, backendRef: backend('users') },
};

test('A10: a good route is Accepted, with ResolvedRefs, and Programmed when all agents have it', (t) => {
  const status = statusOf(rules({ backendRefs: [backend('users')] }));
  t.deepEqual(said(status), [
    'Accepted=True Accepted: the route is accepted',
    'ResolvedRefs=True ResolvedRefs: all references are resolved',
    'Programmed=True Programmed: 2 of 2 agents have applied it',
  ]);
  t.deepEqual(status.parents[0]?.parentRef, toService('orders'));
  t.regex(status.parents[0]?.controllerName ?? '', /^[a-z0-9.]+\/[a-z]+$/);
});

test('Programmed is False while an agent has not applied it', (t) => {
  t.is(
    said(statusOf(rules({}), { applied: 1 }))[2],
    'Programmed=False Pending: 1 of 2 agents have applied it',
  );
});

test('A10: one entry for each parentRef to a service, a pure frontend too, and none for other parents', (t) => {
  const parentRefs = [
    toService('orders', { port: 80 }),
    toService('orders', { port: 81 }),
    toService('frontend'),
    { name: 'gw' },
  ];
  t.deepEqual(
    statusOf(route({ parentRefs })).parents.map(({ parentRef }) => parentRef.port),
    [80, 81, undefined],
  );
});

test('A10: a port that the service does not have is NoMatchingParent', (t) => {
  const status = statusOf(route({ parentRefs: [toService('orders', { port: 81 })] }), {
    resources: [service('orders', { ports: [{ port: 80 }] })],
  });
  t.is(said(status)[0], 'Accepted=False NoMatchingParent: orders.default has no port 81');
  t.regex(said(status)[2] ?? '', /^Programmed=False NotAccepted/);
});

test('A5: a route with invalid backends stays Accepted, and ResolvedRefs names each reference', (t) => {
  const bucket = { group: 'x.dev', kind: 'Bucket', name: 'b' };
  const lines = said(statusOf(rules({ backendRefs: [backend('gone'), bucket] })));
  t.regex(lines[0] ?? '', /^Accepted=True/);
  t.is(
    lines[1],
    'ResolvedRefs=False BackendNotFound: gone.default is not known; x.dev/Bucket b is no Service',
  );
  t.regex(said(statusOf(rules({ backendRefs: [bucket] })))[1] ?? '', /^ResolvedRefs=False InvalidKind/);
});

test('A4: a mirror that leads nowhere is ResolvedRefs=False', (t) => {
  const filters = [{ type: 'RequestMirror', requestMirror: { backendRef: backend('gone') } }];
  t.regex(said(statusOf(rules({ filters })))[1] ?? '', /^ResolvedRefs=False BackendNotFound/);
});

test('A4: an extension that is not known is ResolvedRefs=False', (t) => {
  const extension = { type: 'ExtensionRef', extensionRef: { group: 'x.dev', kind: 'Thing', name: 'a' } };
  t.is(
    said(statusOf(rules({ filters: [extension] })))[1],
    'ResolvedRefs=False InvalidKind: ExtensionRef x.dev/Thing a is not known',
  );
});

test('A10: a route with nothing but what is not supported is not Accepted, and not PartiallyInvalid', (t) => {
  const lines = said(statusOf(rules({ filters: [auth] })));
  t.regex(lines[0] ?? '', /^Accepted=False UnsupportedValue: ExternalAuth/);
  t.false(lines.some((line) => line.startsWith('PartiallyInvalid')));
});

test('A10: a route with one rule that is not supported is PartiallyInvalid, and says which', (t) => {
  const lines = said(statusOf(rules({}, { filters: [auth] })));
  t.regex(lines[0] ?? '', /^Accepted=True/);
  t.regex(lines[2] ?? '', /^PartiallyInvalid=True UnsupportedValue: Dropped Rule 1: ExternalAuth/);
});

test('A10: a valid route has no PartiallyInvalid', (t) => {
  t.false(said(statusOf(rules({}))).some((line) => line.startsWith('PartiallyInvalid')));
});

test('A9: hostnames are accepted, and the message says that they are not used', (t) => {
  t.is(
    said(statusOf(route({ hostnames: ['a.example'] })))[0],
    'Accepted=True Accepted: the route is accepted; hostnames are not used in a mesh',
  );
});

test('A8: the message says by what each rule keeps its sessions, as a generated name stands nowhere else', (t) => {
  const cookie = { lifetimeType: 'Permanent' as const };
  const status = statusOf(
    rules(
      {},
      { sessionPersistence: { absoluteTimeout: '5m', cookie } },
      { sessionPersistence: { type: 'Header', header: { name: 'X-S' } } },
    ),
  );
  t.regex(
    said(status)[0] ?? '',
    /accepted; rule 1 keeps sessions by the cookie weft-session-[0-9a-f]{12} at \/, permanent, for at most 300000 ms; rule 2 keeps sessions by the header x-s$/,
  );
});

test('A10: observedGeneration is the generation judged; a time changes only with the status', (t) => {
  const first = statusOf(rules({}), { nowMs: 1_000, applied: 1 });
  const second = statusOf(rules({}), { nowMs: 2_000, generation: 2, previous: first });
  const conditions = second.parents[0]!.conditions;
  t.true(conditions.every(({ observedGeneration }) => observedGeneration === 2));
  t.is(conditions[0]?.lastTransitionTime, new Date(1_000).toISOString());
  t.is(
    conditions.find(({ type }) => type === 'Programmed')?.lastTransitionTime,
    new Date(2_000).toISOString(),
  );
});

test('A10: status never goes back from a newer generation', (t) => {
  const newer = statusOf(rules({}), { generation: 5 });
  t.deepEqual(statusOf(rules({ backendRefs: [backend('gone')] }), { generation: 4, previous: newer }), newer);
});

test('A10: there are at most 8 conditions', (t) => {
  t.true(said(statusOf(rules({ backendRefs: [backend('gone')] }, { filters: [auth] }))).length <= 8);
});

test('kinds without an effect say so; a Service is Programmed as its snapshot is', (t) => {
  const index = createCompileIndex([]);
  const context = { generation: 1, nowMs: 0, applied: { applied: 1, of: 1 }, index, knownServices: KNOWN };
  const limit: Resource = { ...service('a'), kind: 'RateLimit' };
  const reason = (resource: Resource) =>
    resourceStatus(resource, context).conditions.map(({ status, reason: why }) => `${status} ${why}`);
  t.deepEqual(reason(limit), ['True Accepted', 'False NotImplemented']);
  t.deepEqual(reason(service('a')), ['True Accepted', 'True Programmed']);
  t.deepEqual(reason(service('a', { exposure: 'namespace' })), ['True Accepted', 'True Programmed']);
});
