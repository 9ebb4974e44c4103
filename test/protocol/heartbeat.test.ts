import test from 'ava';
import fc from 'fast-check';
import { readEndpointList } from '../../src/protocol/endpoint-list.ts';
import { type Heartbeat, readHeartbeat } from '../../src/protocol/heartbeat.ts';
import { compareRevisions } from '../../src/protocol/revision.ts';

const beat: Heartbeat = {
  version: 1,
  mesh: 'shop',
  agent: 'web-1',
  session: '00ff00ff00ff00ff',
  sequence: 7,
  timeMs: 1_800_000_000_000,
  release: '0.1.0',
  leaving: false,
  workloads: [
    {
      service: 'orders.default',
      state: 'unhealthy',
      reason: 'GET /healthz: 500',
      sinceMs: 1,
      labels: { version: 'v1' },
    },
  ],
  applied: { 'orders.default': [1_700_000_000_000, 3] },
  heads: ['a.b.c', 'd.e.f'],
};
const list = {
  version: 1,
  mesh: 'shop',
  service: 'orders.default',
  revision: [1, 2],
  endpoints: [{ agent: 'web-1', document: 'a.b.c', state: 'ready', labels: {} }],
};

test('a well-formed heartbeat is read as it was', (t) => {
  t.deepEqual(readHeartbeat('shop', { ...beat }), beat);
});

test('a heartbeat of another mesh, or with a part that is malformed, is none', (t) => {
  t.is(readHeartbeat('other', { ...beat }), undefined);
  const workload = beat.workloads[0]!;
  for (const wrong of [
    { version: 2 },
    { agent: 'Web 1' },
    { sequence: 1.5 },
    { timeMs: 'now' },
    { leaving: 'no' },
    { workloads: {} },
    { heads: 'x' },
    { heads: [1] },
    { heads: ['x'.repeat(513)] },
    { heads: ['a', 'b', 'c'] },
    { workloads: [{ ...workload, service: 'orders' }] },
    { workloads: [{ ...workload, state: 'fine' }] },
    { workloads: [{ ...workload, reason: 'x'.repeat(2_000) }] },
    { workloads: [{ ...workload, labels: { version: 1 } }] },
    { workloads: new Array(1_001).fill(workload) },
    { applied: { 'orders.default': 3 } },
    { applied: { orders: [1, 1] } },
  ]) {
    t.is(readHeartbeat('shop', { ...beat, ...wrong }), undefined, JSON.stringify(wrong).slice(0, 80));
  }
});

test('a well-formed endpoint list is read as it was, and one with a malformed part is none', (t) => {
  t.deepEqual(readEndpointList('shop', list), list as unknown);
  t.is(readEndpointList('other', list), undefined);
  const endpoint = list.endpoints[0]!;
  for (const wrong of [
    { version: 2 },
    { service: 'orders' },
    { revision: 2 },
    { endpoints: [{ ...endpoint, agent: 'Web 1' }] },
    { endpoints: [{ ...endpoint, state: 'fine' }] },
    { endpoints: [null] },
  ]) {
    t.is(readEndpointList('shop', { ...list, ...wrong }), undefined, JSON.stringify(wrong));
  }
});

test('whatever has been signed, reading it never throws', (t) => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...Object.keys(beat), ...Object.keys(list)), fc.jsonValue()),
      (value) => {
        t.notThrows(() => readHeartbeat('shop', value));
        t.notThrows(() => readEndpointList('shop', value));
      },
    ),
  );
});

test('a store that was made later is newer, whatever its numbers', (t) => {
  t.true(compareRevisions([2, 1], [1, 500]) > 0);
  t.true(compareRevisions([2, 1], [2, 2]) < 0);
  t.is(compareRevisions([2, 2], [2, 2]), 0);
});
