import test from 'ava';
import { createLeader, type LeaderSteps } from '../../src/controller/leader.ts';
import { until } from '../kit/mesh.ts';
import { TestClock } from '../kit/time.ts';

/** A lease in memory that does as it is told. */
function createSteps(lease: Partial<LeaderSteps['lease']> = {}) {
  const clock = new TestClock();
  const states: string[] = [];
  let released = 0;
  const held = async () => ({ held: true, sinceMs: clock.nowMs });
  const steps: LeaderSteps = {
    lease: {
      look: async () => true,
      claim: held,
      renew: held,
      release: async () => {
        released += 1;
      },
      ...lease,
    },
    renewMs: 1,
    trustMs: 10_000,
    now: clock.now,
    changed: (state) => void states.push(state),
  };
  return { clock, states, steps, released: () => released };
}

test('a lease that is free is claimed, and released at the end', async (t) => {
  const { steps, states, released } = createSteps();
  const leader = createLeader(steps);
  await until(() => leader.leading, 'it leads');
  t.deepEqual(states, ['claiming', 'leading']);
  await leader.stop();
  await leader.stop();
  t.false(leader.leading);
  t.is(leader.state, 'stopped');
  t.is(released(), 1);
});

test('a claim or a look that fails is tried again, and leads to nothing meanwhile', async (t) => {
  let looks = 0;
  let claims = 0;
  const { steps, states, clock } = createSteps({
    look: async () => {
      looks += 1;
      if (looks === 1) throw new Error('timeout');
      return looks > 2;
    },
    claim: async () => {
      claims += 1;
      if (claims === 1) throw new Error('timeout');
      return { held: claims > 2, sinceMs: clock.nowMs };
    },
  });
  const leader = createLeader(steps);
  t.teardown(leader.stop);
  await until(() => leader.leading, 'it leads');
  t.is(claims, 3);
  t.deepEqual(states, ['claiming', 'standby', 'claiming', 'standby', 'claiming', 'leading']);
});

test('D1: whose renewals fail does not lead once the last good one is no longer to be trusted', async (t) => {
  const { steps, clock } = createSteps({
    look: async () => clock.nowMs < 2_000,
    renew: async () => {
      throw new Error('timeout');
    },
  });
  const leader = createLeader(steps);
  t.teardown(leader.stop);
  await until(() => leader.leading, 'it leads');
  clock.nowMs += 10_000;
  t.false(leader.leading, 'at once, whatever timers say');
  await until(() => leader.state === 'standby', 'and then by its state');
});

test('D1: who finds the lease taken does not lead', async (t) => {
  let taken = false;
  const { steps, clock } = createSteps({
    look: async () => !taken,
    renew: async () => ({ held: !taken, sinceMs: clock.nowMs }),
  });
  const leader = createLeader(steps);
  t.teardown(leader.stop);
  await until(() => leader.leading, 'it leads');
  taken = true;
  await until(() => leader.state === 'standby', 'it stands by');
  t.false(leader.leading);
});

test('D3: without the bus nobody leads, and what was asked before is not waited for', async (t) => {
  let hangs = false;
  const { steps } = createSteps({
    look: () => (hangs ? new Promise(() => {}) : Promise.resolve(true)),
  });
  const leader = createLeader(steps);
  t.teardown(leader.stop);
  await until(() => leader.leading, 'it leads');
  hangs = true;
  leader.lost();
  t.is(leader.state, 'standby');
  hangs = false;
  leader.back();
  await until(() => leader.leading, 'it leads again');
});
