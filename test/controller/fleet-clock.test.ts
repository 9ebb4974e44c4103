import test from 'ava';
import { createFleet, type Fleet } from '../../src/controller/fleet.ts';
import type { Heartbeat } from '../../src/protocol/heartbeat.ts';
import { TestClock } from '../kit/time.ts';
import { MESH, ready } from './control-plane.ts';

const HOUR_MS = 3_600_000;

function createTestFleet() {
  const clock = new TestClock();
  const changed: string[][] = [];
  const known: string[][] = [];
  const fleet = createFleet({
    timing: { agentLeaseMs: 3_000, sweepMs: 250 },
    wallMs: clock.now,
    changed: (services) => void changed.push([...services]),
    known: (services) => void known.push([...services]),
    toKeep() {},
  });
  return { clock, fleet, changed, known };
}

function hear(
  fleet: Fleet,
  { document = 'document', ...change }: Partial<Heartbeat> & { document?: string },
): boolean {
  const beat: Heartbeat = {
    version: 1,
    mesh: MESH,
    agent: 'app-1',
    session: 'a',
    sequence: 1,
    timeMs: 1_000,
    release: '0.0.0',
    leaving: false,
    workloads: [ready('orders.default')],
    ...change,
  };
  const identity = {
    agent: beat.agent,
    publicKey: undefined as never,
    signingKey: undefined as never,
    issuer: '',
    issuedAtMs: 0,
    workloads: new Set<string>(),
    expiresAtMs: 1,
  };
  return fleet.hear({ beat, identity, document });
}

const sweep = (fleet: Fleet, times: number) => {
  for (let time = 0; time < times; time++) fleet.sweep(250);
};
const listed = (fleet: Fleet) => fleet.endpoints('orders.default').map(({ agent }) => agent);

test('silence for a whole lease makes an agent lost, and not a moment less', (t) => {
  const { fleet, changed } = createTestFleet();
  hear(fleet, {});
  sweep(fleet, 11);
  t.deepEqual(listed(fleet), ['app-1']);
  changed.length = 0;
  sweep(fleet, 1);
  t.deepEqual(listed(fleet), []);
  t.deepEqual(changed, [['orders.default']]);
  t.is(fleet.agents.get('app-1')?.state, 'lost');
});

test('H2: a pause of the controller is no silence of its agents', (t) => {
  const { fleet } = createTestFleet();
  hear(fleet, {});
  fleet.sweep(HOUR_MS);
  t.deepEqual(listed(fleet), ['app-1']);
});

test('H1: within a session only a higher number counts, and a session that has passed does not come back', (t) => {
  const { fleet } = createTestFleet();
  t.true(hear(fleet, { sequence: 5 }));
  t.false(hear(fleet, { sequence: 5 }));
  t.false(hear(fleet, { sequence: 4 }));
  t.true(hear(fleet, { session: 'b', sequence: 0, timeMs: 2_000 }));
  t.false(hear(fleet, { session: 'a', sequence: 9, timeMs: 1_500 }));
  t.is(fleet.agents.get('app-1')?.session, 'b');
});

test('a host whose clock was set back is heard again when its last session is over', (t) => {
  const { fleet, clock } = createTestFleet();
  hear(fleet, { timeMs: clock.nowMs + HOUR_MS });
  const next = { session: 'b', sequence: 0, timeMs: clock.nowMs };
  t.false(hear(fleet, next));
  sweep(fleet, 12);
  t.true(hear(fleet, next));
});

test('a new session begins without what the last one had applied', (t) => {
  const { fleet } = createTestFleet();
  hear(fleet, { applied: { 'a.default': [1, 1] } });
  hear(fleet, { sequence: 2 });
  t.deepEqual(fleet.agents.get('app-1')?.applied, { 'a.default': [1, 1] });
  hear(fleet, { session: 'b', timeMs: 2_000 });
  t.deepEqual(fleet.agents.get('app-1')?.applied, {});
});

test('a service is known while it is down, and forgotten after a day', (t) => {
  const { fleet, clock, known } = createTestFleet();
  hear(fleet, { leaving: true });
  clock.nowMs += 23 * HOUR_MS;
  sweep(fleet, 1);
  t.true(fleet.services.has('orders.default'));
  clock.nowMs += 2 * HOUR_MS;
  sweep(fleet, 1);
  t.false(fleet.services.has('orders.default'));
  t.deepEqual(known, [['orders.default'], ['orders.default']]);
  t.is(fleet.agents.size, 0, 'and so is the agent');
});

test('what was kept is taken up, but not over what was heard since', (t) => {
  const { fleet } = createTestFleet();
  hear(fleet, {});
  const kept = fleet.keep();
  const { fleet: next } = createTestFleet();
  hear(next, { session: 'b', workloads: [ready('other.default')] });
  next.restore(kept);
  t.deepEqual([...next.services].sort(), ['orders.default', 'other.default']);
  t.is(next.agents.get('app-1')?.session, 'b');
  const { fleet: fresh } = createTestFleet();
  fresh.restore(kept);
  t.is(fresh.agents.get('app-1')?.state, 'connected', 'its lease has to say otherwise');
  sweep(fresh, 12);
  t.is(fresh.agents.get('app-1')?.state, 'lost');
});

test('H3: two agents of one name do not take turns; the last that came counts until it falls silent', (t) => {
  const { fleet, changed } = createTestFleet();
  const rivals = () => fleet.rivals(fleet.agents.get('app-1')!);
  hear(fleet, { session: 'a', sequence: 7, timeMs: 1_000, document: 'of a' });
  hear(fleet, { session: 'b', sequence: 1, timeMs: 1_100, document: 'of b' });
  t.is(rivals(), 0, 'it may have been restarted');
  changed.length = 0;
  for (let second = 2; second < 8; second++) {
    t.false(hear(fleet, { session: 'a', sequence: 6 + second, timeMs: second * 1_000, document: 'of a' }));
    t.true(hear(fleet, { session: 'b', sequence: second, timeMs: second * 1_000 + 100, document: 'of b' }));
    sweep(fleet, 4);
    t.is(rivals(), 1);
  }
  t.deepEqual(changed, [], 'no list is published anew');
  t.is(fleet.endpoints('orders.default')[0]?.document, 'of b');
  for (let second = 8; second < 12; second++) {
    hear(fleet, { session: 'a', sequence: 6 + second, timeMs: second * 1_000, document: 'of a' });
    sweep(fleet, 4);
  }
  t.is(fleet.endpoints('orders.default')[0]?.document, 'of a', 'the one that is left');
  t.is(rivals(), 0);
});

test('H3: an agent of the same name is noticed by whatever clock it has, and no more once it has left', (t) => {
  const { fleet } = createTestFleet();
  const rivals = () => fleet.rivals(fleet.agents.get('app-1')!);
  hear(fleet, { session: 'a', sequence: 7, timeMs: 9_000 });
  t.false(hear(fleet, { session: 'b', sequence: 1, timeMs: 5_000 }));
  t.false(hear(fleet, { session: 'b', sequence: 2, timeMs: 6_000 }));
  t.is(rivals(), 1);
  t.false(hear(fleet, { session: 'b', sequence: 2, timeMs: 6_000 }), 'the same again says nothing');
  t.false(hear(fleet, { session: 'b', sequence: 3, timeMs: 7_000, leaving: true }));
  t.is(rivals(), 0);
  t.is(fleet.agents.get('app-1')?.state, 'connected');
});

test('H2: whose beats could not be heard is not lost', (t) => {
  const { fleet } = createTestFleet();
  hear(fleet, {});
  hear(fleet, { agent: 'app-2' });
  const missed = { agents: new Set(['app-1']), strangers: true };
  for (let time = 0; time < 20; time++) fleet.sweep(250, missed);
  t.deepEqual(listed(fleet), ['app-1']);
  t.is(fleet.listenedMs, 0, 'nobody knows who else was there');
  sweep(fleet, 12);
  t.deepEqual(listed(fleet), []);
});
