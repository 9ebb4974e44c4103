import test from 'ava';
import { createWorkloads } from '../../../src/agent/health/workloads.ts';
import { Upstream } from '../../../src/agent/inbound/upstream.ts';
import type { WorkloadConfig } from '../../../src/agent/workload-config.ts';
import { readHeartbeat } from '../../../src/protocol/heartbeat.ts';

const TARGET = { host: '127.0.0.1', port: 1 };
const PLAIN: WorkloadConfig = {
  service: 'plain.default',
  upstream: [TARGET],
  listen: undefined,
  uid: undefined,
  health: undefined,
  labels: { version: 'v1' },
};
const CHECKED: WorkloadConfig = {
  ...PLAIN,
  service: 'checked.default',
  labels: {},
  health: {
    path: '/',
    expect: [],
    intervalMs: 1,
    jitter: 0,
    timeoutMs: 1,
    healthyAfter: 1,
    unhealthyAfter: 1,
  },
};
const CALLER: WorkloadConfig = { ...PLAIN, service: 'caller.default', upstream: [] };

function create(fault: string | undefined) {
  const upstreams = new Map([PLAIN, CHECKED].map((one) => [one.service, new Upstream([TARGET], () => 0)]));
  const changes: string[] = [];
  const workloads = createWorkloads({
    workloads: [PLAIN, CHECKED, CALLER],
    upstreams,
    probe(_target, _health, done) {
      done(fault);
      return () => {};
    },
    delay: () => () => {},
    random: () => 0,
    wallMs: () => 7,
    changed: (service, state, reason) => changes.push(`${service} ${state} ${reason}`.trim()),
  });
  return { workloads, changes, upstreams };
}

test('those that serve are reported, each with its state; who only calls is not', (t) => {
  const { workloads } = create(undefined);
  t.deepEqual(workloads.reports(), [
    { service: 'plain.default', state: 'ready', reason: '', sinceMs: 7, labels: { version: 'v1' } },
    {
      service: 'checked.default',
      state: 'starting',
      reason: 'its first health check is not over',
      sinceMs: 7,
      labels: {},
    },
  ]);
  t.deepEqual(workloads.waiting(), ['checked.default is starting: its first health check is not over']);
  t.false(workloads.isReady('caller.default'));
});

test('a change is said, and the instances know', (t) => {
  const { workloads, changes, upstreams } = create(undefined);
  t.deepEqual(upstreams.get('checked.default')?.healthy, [false]);
  workloads.start();
  t.deepEqual(changes, ['checked.default ready']);
  t.deepEqual(upstreams.get('checked.default')?.healthy, [true]);
  t.deepEqual(workloads.waiting(), []);
  workloads.drain();
  t.deepEqual(changes.slice(1), [
    'plain.default draining the agent drains',
    'checked.default draining the agent drains',
  ]);
});

test('however long a reason is, a heartbeat with it is well formed', (t) => {
  const { workloads } = create('x'.repeat(5_000));
  workloads.start();
  const beat = { version: 1, mesh: 'm', agent: 'a', session: 's', sequence: 1, timeMs: 1, release: 'r' };
  const whole = { ...beat, leaving: false, workloads: workloads.reports() };
  t.not(readHeartbeat('m', whole), undefined);
  t.is(workloads.reports()[1]?.state, 'unhealthy');
});
