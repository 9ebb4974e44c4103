/** What a TrafficPolicy becomes, and what is said of it. */
import test from 'ava';
import { createCompileIndex } from '../../../src/controller/compile/resource-graph.ts';
import { resourceStatus } from '../../../src/controller/compile/status.ts';
import type { Resource } from '../../../src/controller/resources/resource.ts';
import { validateResource } from '../../../src/controller/resources/validate.ts';
import { readSnapshot } from '../../../src/protocol/read-snapshot.ts';
import { saysDefaults } from '../../../src/protocol/snapshot.ts';
import { compile, KNOWN } from './compile.ts';

function policy(name: string, spec: object, metadata: object = {}): Resource {
  const { resource, faults } = validateResource({
    apiVersion: 'weft.dev/v1',
    kind: 'TrafficPolicy',
    metadata: { name, ...metadata },
    spec: { targetRef: { kind: 'Service', name: 'orders' }, ...spec },
  });
  if (resource === undefined) throw new Error(JSON.stringify(faults));
  return resource;
}

const at = (day: number) => ({ creationTimestamp: `2026-01-0${day}T00:00:00Z` });

function said(resource: Resource, all = [resource], applied = { applied: 1, of: 2 }): string[] {
  const index = createCompileIndex(all);
  const context = { generation: 1, nowMs: 0, applied, index, knownServices: KNOWN };
  return resourceStatus(resource, context).conditions.map(
    ({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`,
  );
}

test('evidence: signed stands in the snapshot of its service, and agents take it', (t) => {
  const snapshot = compile([policy('p', { evidence: 'signed' })]);
  t.is(snapshot.evidence, 'signed');
  t.false(saysDefaults(snapshot));
  t.deepEqual(readSnapshot('shop', JSON.parse(JSON.stringify(snapshot))), snapshot);
  t.is(readSnapshot('shop', { ...snapshot, evidence: 'none' } as never), undefined);
  t.is(compile([policy('p', { evidence: 'signed' })], 'users.default').evidence, undefined);
});

test('evidence: none, and policies that say nothing of it, are as good as no policy', (t) => {
  for (const spec of [{ evidence: 'none' }, {}, { limits: { concurrency: 1 } }]) {
    const snapshot = compile([policy('p', spec)]);
    t.false('evidence' in snapshot);
    t.true(saysDefaults(snapshot));
  }
});

test('of several policies with one target the oldest holds alone', (t) => {
  const older = policy('b', { evidence: 'none' }, at(1));
  const newer = policy('a', { evidence: 'signed' }, at(2));
  t.is(compile([newer, older]).evidence, undefined);
  t.is(compile([newer]).evidence, 'signed');
  const why = 'default/b has the same target and is older: it holds, and this one has no effect';
  t.deepEqual(said(newer, [newer, older]).slice(1), [
    `Conflicted True TargetTaken: ${why}`,
    `Programmed False Conflicted: ${why}`,
  ]);
  t.regex(said(older, [newer, older]).at(-1) ?? '', /^Programmed False Pending/);
});

test('a policy is Programmed as its snapshot is, and says which of its fields have no effect yet', (t) => {
  const evidence = policy('p', { evidence: 'signed' });
  t.deepEqual(said(evidence).slice(1), ['Programmed False Pending: 1 of 2 agents have applied it']);
  t.regex(said(evidence, [evidence], { applied: 2, of: 2 }).at(-1) ?? '', /^Programmed True Programmed/);
  const limits = policy('p', { limits: { concurrency: 1 } });
  t.deepEqual(said(limits).slice(1), [
    'Programmed False NotImplemented: limits: stored and checked, without effect yet',
  ]);
  const both = policy('p', { evidence: 'none', limits: { concurrency: 1 } });
  t.deepEqual(said(both).slice(1), [
    'PartiallyInvalid True NotImplemented: limits: stored and checked, without effect yet',
    'Programmed False Pending: 1 of 2 agents have applied it',
  ]);
});

test('a change of a policy touches its target, and both targets if that changes', (t) => {
  const index = createCompileIndex([]);
  const signed = policy('p', { evidence: 'signed' });
  const moved = policy('p', { evidence: 'signed', targetRef: { kind: 'Service', name: 'users' } });
  t.deepEqual([...index.change(undefined, signed)], ['orders.default']);
  t.is(index.trafficPoliciesOf('orders.default').length, 1);
  t.deepEqual([...index.change(signed, moved)].sort(), ['orders.default', 'users.default']);
  t.deepEqual([...index.change(moved, undefined)], ['users.default']);
  t.is(index.trafficPoliciesOf('users.default').length, 0);
});

test('anything but signed and none is refused, with the field', (t) => {
  const { faults } = validateResource({
    apiVersion: 'weft.dev/v1',
    kind: 'TrafficPolicy',
    metadata: { name: 'p' },
    spec: { targetRef: { kind: 'Service', name: 'orders' }, evidence: true },
  });
  t.deepEqual([...new Set(faults.map(({ path }) => path.join('.')))], ['spec.evidence']);
});
