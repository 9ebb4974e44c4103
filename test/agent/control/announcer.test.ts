import test from 'ava';
import { createAnnouncer } from '../../../src/agent/control/announcer.ts';
import type { Bus } from '../../../src/agent/link/bus.ts';
import {
  type Heartbeat,
  heartbeatParts,
  readHeartbeat,
  type WorkloadReport,
} from '../../../src/protocol/heartbeat.ts';
import { readIntroduction } from '../../../src/protocol/introduction.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { verificationKey } from '../../../src/protocol/nkey.ts';
import type { Revision } from '../../../src/protocol/revision.ts';
import { createRoot } from '../../../src/protocol/root.ts';
import { openDocument } from '../../../src/protocol/signed-document.ts';
import { createRootKeyring } from '../../kit/root-keyring.ts';

const root = createRoot();
const rootKey = verificationKey(root.publicKey);
const ORDERS: WorkloadReport = {
  service: 'orders.default',
  state: 'ready',
  reason: '',
  sinceMs: 5,
  labels: { version: 'v1' },
};

function create() {
  const clock = { nowMs: 0 };
  const timers: { ms: number; then: () => void }[] = [];
  const beats: Heartbeat[] = [];
  const subjects = new Set<string>();
  const tooLarge: number[] = [];
  const state: { workloads: WorkloadReport[]; applied: Record<string, Revision> } = {
    workloads: [ORDERS],
    applied: { 'orders.default': [1, 4] },
  };
  const bus: Bus & { up: boolean; payloadBytesMax: number } = {
    up: true,
    payloadBytesMax: 1024 * 1024,
    publish(subject, payload) {
      subjects.add(subject);
      const { introduction, statement } = heartbeatParts(Buffer.from(payload).toString());
      const { signingKey } = readIntroduction(rootKey, 'shop', introduction, Date.now());
      const beat = readHeartbeat('shop', openDocument(signingKey, 'weft-heartbeat', statement, 1024 * 1024));
      if (beat !== undefined) beats.push(beat);
    },
    subscribe: () => () => {},
    request: () => Promise.reject(new Error('unused')),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const keyring = createRootKeyring({
    rootSeed: root.seed,
    mesh: 'shop',
    agent: 'web-1',
    workloads: ['orders.default'],
    now: Date.now,
  });
  const announcer = createAnnouncer({
    keyring,
    session: '0123456789abcdef',
    release: '0.1.0',
    workloads: () => state.workloads,
    applied: () => state.applied,
    heads: () => ['how far'],
    trust: () => [1, 7],
    wallMs: () => 1_000_000 + clock.nowMs,
    now: () => clock.nowMs,
    delay(ms, then) {
      const timer = { ms, then };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    },
    tooLarge: (bytes) => tooLarge.push(bytes),
  });
  return { announcer, tooLarge, bus, beats, subjects, clock, timers, state };
}

test('a heartbeat says who it is, what it serves and what is applied', (t) => {
  const { announcer, bus, beats, subjects } = create();
  announcer.attach(bus);
  t.deepEqual(
    [...beats],
    [
      {
        version: 1,
        mesh: 'shop',
        agent: 'web-1',
        session: '0123456789abcdef',
        sequence: 1,
        timeMs: 1_000_000,
        release: '0.1.0',
        leaving: false,
        workloads: [ORDERS],
        applied: { 'orders.default': [1, 4] },
        heads: ['how far'],
        trust: [1, 7],
      },
    ],
  );
  t.deepEqual([...subjects], ['weft.shop.obs.health.web-1']);
});

test('what is applied is told for a while after it changed, and in every tenth beat', (t) => {
  const { announcer, bus, beats, clock } = create();
  announcer.attach(bus);
  for (let second = 0; second < 24; second++) {
    clock.nowMs += 1_000;
    announcer.beat();
  }
  const told = beats.filter(({ applied }) => applied !== undefined).map(({ sequence }) => sequence);
  t.deepEqual(told, [1, 2, 3, 4, 5, 6, 11, 21]);
});

test('changes are told at once, those of a moment together', (t) => {
  const { announcer, bus, beats, clock, timers, state } = create();
  announcer.attach(bus);
  clock.nowMs += 10_000;
  announcer.beat();
  state.workloads = [{ ...ORDERS, state: 'unhealthy', reason: 'GET /: 500' }];
  announcer.changed();
  announcer.changed();
  state.applied = { 'orders.default': [1, 5] };
  announcer.appliedChanged();
  t.deepEqual(
    timers.map(({ ms }) => ms),
    [LIMITS.announceDelayMs],
  );
  t.is(beats.length, 2);
  timers[0]?.then();
  t.is(beats.length, 3);
  t.is(beats[2]?.workloads[0]?.state, 'unhealthy');
  t.deepEqual(beats[2]?.applied, { 'orders.default': [1, 5] });
});

test('nothing is said while the bus is away, and nothing of that time later', (t) => {
  const { announcer, bus, beats, timers } = create();
  announcer.beat();
  announcer.attach(bus);
  bus.up = false;
  announcer.beat();
  announcer.changed();
  timers.splice(0)[0]?.then();
  bus.up = true;
  announcer.beat();
  t.deepEqual(
    beats.map(({ sequence }) => sequence),
    [1, 2],
  );
});

test('what the bus would not take is not sent, and that is said once', (t) => {
  const { announcer, bus, beats, tooLarge } = create();
  bus.payloadBytesMax = 100;
  announcer.attach(bus);
  announcer.beat();
  t.is(beats.length, 0);
  t.is(tooLarge.length, 1);
});

test('the last one says that the agent leaves; nothing follows it', (t) => {
  const { announcer, bus, beats, timers } = create();
  announcer.attach(bus);
  announcer.changed();
  announcer.leave();
  announcer.beat();
  t.deepEqual(
    beats.map(({ leaving }) => leaving),
    [false, true],
  );
  t.deepEqual(timers, []);
});

test('what is applied is told at once when a service is wanted that was not, of a few of which nothing is published', (t) => {
  const { announcer, bus, beats, clock, state } = create();
  announcer.attach(bus);
  clock.nowMs += 60_000;
  announcer.beat();
  t.is(beats.at(-1)?.applied, undefined);
  for (let at = 0; at < 2 * LIMITS.wantedToldMax; at++) state.applied[`wanted-${at}.default`] = [0, 0];
  announcer.beat();
  t.is(Object.keys(beats.at(-1)?.applied ?? {}).length, 1 + LIMITS.wantedToldMax);
  t.deepEqual(beats.at(-1)?.applied?.['orders.default'], [1, 4]);
});

test('a heartbeat that is too large with what is applied is sent without', (t) => {
  const { announcer, bus, beats, state, tooLarge } = create();
  for (let at = 0; at < 8_000; at++) state.applied[`service-${at}.${'n'.repeat(60)}`] = [1, 1];
  announcer.attach(bus);
  t.is(beats.length, 1);
  t.is(beats[0]?.applied, undefined);
  t.is(tooLarge.length, 1);
});
