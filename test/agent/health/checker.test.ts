/** When a workload becomes ready and when it does not; looks and time are the test's. */
import test from 'ava';
import { createChecker } from '../../../src/agent/health/checker.ts';
import type { ProbeDone } from '../../../src/agent/health/probe.ts';
import type { HealthConfig } from '../../../src/agent/workload-config.ts';

const HEALTH: HealthConfig = {
  path: '/healthz',
  expect: [[200, 399]],
  intervalMs: 2_000,
  jitter: 0.1,
  timeoutMs: 1_000,
  healthyAfter: 2,
  unhealthyAfter: 3,
};

function create({ instances = 1, checked = true, random = 0.5 } = {}) {
  const clock = { nowMs: 100 };
  const states: string[] = [];
  const healthy: boolean[] = [];
  const looks = new Map<number, ProbeDone>();
  const pauses: { ms: number; then: () => void }[] = [];
  const checker = createChecker({
    instances: Array.from({ length: instances }, (_, at) => ({ host: '127.0.0.1', port: at })),
    health: checked ? HEALTH : undefined,
    probe({ port }, _health, done) {
      looks.set(port, done);
      return () => looks.delete(port);
    },
    delay(ms, then) {
      const pause = { ms, then };
      pauses.push(pause);
      return () => pauses.splice(pauses.indexOf(pause), 1);
    },
    random: () => random,
    wallMs: () => clock.nowMs,
    instance(at, good) {
      healthy[at] = good;
    },
    changed: (state) => states.push(state),
  });
  /** Looks with these outcomes at one instance, each after its pause. */
  const see = (outcomes: string, at = 0) => {
    for (const outcome of outcomes) {
      const done = looks.get(at);
      looks.delete(at);
      done?.(outcome === '+' ? undefined : `instance ${at} is down`);
      for (const pause of pauses.splice(0)) pause.then();
    }
  };
  return { checker, states, healthy, looks, pauses, see, clock };
}

test('H1 a workload without health checks is ready from the start', (t) => {
  const { checker, looks } = create({ checked: false });
  t.is(checker.state, 'ready');
  checker.start();
  t.is(looks.size, 0);
});

test('it is starting until so many looks in a row were good', (t) => {
  const { checker, see, states, clock } = create();
  t.is(checker.state, 'starting');
  t.is(checker.reason, 'its first health check is not over');
  checker.start();
  see('+-+');
  t.is(checker.state, 'starting');
  clock.nowMs = 200;
  see('+');
  t.is(checker.state, 'ready');
  t.is(checker.reason, '');
  t.is(checker.sinceMs, 200);
  t.deepEqual(states, ['ready']);
});

test('it is unhealthy after so many bad looks in a row, says why, and comes back', (t) => {
  const { checker, see, states } = create();
  checker.start();
  see('++--+--');
  t.is(checker.state, 'ready');
  see('-');
  t.is(checker.state, 'unhealthy');
  t.is(checker.reason, 'instance 0 is down');
  see('---+');
  t.is(checker.state, 'unhealthy');
  see('+');
  t.is(checker.state, 'ready');
  t.deepEqual(states, ['ready', 'unhealthy', 'ready']);
});

test('one that never was healthy becomes unhealthy too', (t) => {
  const { checker, see } = create();
  checker.start();
  see('---');
  t.is(checker.state, 'unhealthy');
});

test('H2 of several instances one that is healthy is enough', (t) => {
  const { checker, see, healthy } = create({ instances: 2 });
  checker.start();
  see('---', 0);
  t.is(checker.state, 'starting', 'the other one is not known yet');
  see('++', 1);
  t.is(checker.state, 'ready');
  t.deepEqual(healthy, [false, true]);
  see('++', 0);
  see('---', 1);
  t.is(checker.state, 'ready');
  t.deepEqual(healthy, [true, false]);
  see('---', 0);
  t.is(checker.state, 'unhealthy');
});

test('H3 one that drains is looked at no more and never becomes ready', (t) => {
  for (const before of ['', '++', '---']) {
    const { checker, see, looks, states } = create();
    checker.start();
    see(before);
    checker.drain();
    t.is(checker.state, 'draining');
    t.is(looks.size, 0);
    see('++');
    checker.drain();
    t.is(states.at(-1), 'draining');
    t.is(states.filter((state) => state === 'draining').length, 1);
  }
});

test('the pause between two looks is longer or shorter by the jitter', (t) => {
  for (const [random, ms] of [
    [0, 1_800],
    [0.5, 2_000],
    [1, 2_200],
  ] as const) {
    const { checker, looks, pauses } = create({ random });
    checker.start();
    looks.get(0)?.(undefined);
    t.is(Math.round(pauses[0]?.ms ?? 0), ms);
  }
});

test('a checker that was stopped neither looks nor waits', (t) => {
  const { checker, looks, pauses, see } = create({ instances: 2 });
  checker.start();
  see('+', 0);
  checker.stop();
  t.is(looks.size + pauses.length, 0);
});
