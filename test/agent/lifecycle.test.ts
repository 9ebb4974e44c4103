import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { type AgentState, createLifecycle, type LifecycleSteps } from '../../src/agent/lifecycle.ts';
import type { Bus } from '../../src/agent/link/bus.ts';

/** A bus that only knows whether it was closed. */
function fakeBus(): Bus & { closed: boolean } {
  const bus = {
    closed: false,
    up: true,
    payloadBytesMax: 1,
    publish() {},
    subscribe: () => () => {},
    request: () => Promise.reject(new Error('no responders')),
    flush: () => Promise.resolve(),
    close() {
      bus.closed = true;
      return Promise.resolve();
    },
  };
  return bus;
}

/** A lifecycle whose steps the test decides, and what it went through. */
function create(steps: Partial<LifecycleSteps>) {
  const bus = fakeBus();
  const states: AgentState[] = [];
  const stops: (Bus | undefined)[] = [];
  const lifecycle = createLifecycle({
    connect: () => Promise.resolve(bus),
    sync: () => Promise.resolve(),
    drain: () => Promise.resolve(),
    stop(given) {
      stops.push(given);
      given?.close();
    },
    redialMs: () => 1,
    changed: (state) => states.push(state),
    ...steps,
  });
  return { lifecycle, bus, states, stops };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

test('an agent connects, syncs and serves', async (t) => {
  const { lifecycle, states } = create({});
  lifecycle.start();
  await until(() => lifecycle.state === 'serving');
  t.deepEqual(states, ['syncing', 'serving']);
  t.is(lifecycle.reason, undefined);
});

test('it dials until somebody answers, and says meanwhile why it does not serve', async (t) => {
  const bus = fakeBus();
  let dials = 0;
  const reasons = new Set<string | undefined>();
  const { lifecycle } = create({
    connect() {
      dials += 1;
      return dials < 5 ? Promise.reject(new Error(`refused ${dials}`)) : Promise.resolve(bus);
    },
    changed: (_state, reason) => reasons.add(reason),
  });
  lifecycle.start();
  await until(() => lifecycle.state === 'serving');
  t.deepEqual([...reasons], ['refused 1', 'refused 2', 'refused 3', 'refused 4', undefined]);
});

test('a drained agent finishes, and then stops with its bus', async (t) => {
  const finished = Promise.withResolvers<void>();
  const { lifecycle, bus, states, stops } = create({ drain: () => finished.promise });
  lifecycle.start();
  await until(() => lifecycle.state === 'serving');
  lifecycle.drain();
  await turn();
  t.is(lifecycle.state, 'draining');
  t.deepEqual(stops, []);
  finished.resolve();
  await until(() => lifecycle.state === 'stopped');
  t.deepEqual(states, ['syncing', 'serving', 'draining', 'stopped']);
  t.deepEqual(stops, [bus]);
});

test('a drain that fails stops the agent all the same', async (t) => {
  const { lifecycle, stops } = create({ drain: () => Promise.reject(new Error('no')) });
  lifecycle.start();
  await until(() => lifecycle.state === 'serving');
  lifecycle.drain();
  await until(() => lifecycle.state === 'stopped');
  t.is(stops.length, 1);
});

test('stop ends it from wherever it is, once', async (t) => {
  for (const wanted of ['connecting', 'syncing', 'serving', 'draining'] as const) {
    const never = () => new Promise<never>(() => {});
    const { lifecycle, stops } = create({
      ...(wanted === 'connecting' ? { connect: never } : {}),
      ...(wanted === 'syncing' ? { sync: never } : {}),
      ...(wanted === 'draining' ? { drain: never } : {}),
    });
    lifecycle.start();
    if (wanted === 'draining') {
      await until(() => lifecycle.state === 'serving');
      lifecycle.drain();
    }
    await until(() => lifecycle.state === wanted);
    lifecycle.stop();
    lifecycle.stop();
    lifecycle.drain();
    t.is(lifecycle.state, 'stopped');
    t.is(stops.length, 1, wanted);
  }
});

test('a connection that comes after the agent has stopped is closed', async (t) => {
  const dialled = Promise.withResolvers<Bus>();
  const { lifecycle, bus, stops } = create({ connect: () => dialled.promise });
  lifecycle.start();
  lifecycle.stop();
  t.deepEqual(stops, [undefined]);
  dialled.resolve(bus);
  await turn();
  t.true(bus.closed);
});

test('a connection that comes while the agent drains is closed, and not used', async (t) => {
  const dialled = Promise.withResolvers<Bus>();
  const { lifecycle, bus, states } = create({ connect: () => dialled.promise });
  lifecycle.start();
  lifecycle.drain();
  await until(() => lifecycle.state === 'stopped');
  dialled.resolve(bus);
  await turn();
  t.true(bus.closed);
  t.false(states.includes('serving'));
});

test('a sync that fails is tried again after a pause, not in a circle', async (t) => {
  let syncs = 0;
  let pauses = 0;
  const { lifecycle } = create({
    sync() {
      syncs += 1;
      return syncs < 4 ? Promise.reject(new Error('lost')) : Promise.resolve();
    },
    redialMs() {
      pauses += 1;
      return 1;
    },
  });
  lifecycle.start();
  await until(() => lifecycle.state === 'serving');
  t.is(syncs, 4);
  t.is(pauses, 3);
});

test('an agent that was never started can be stopped', (t) => {
  const { lifecycle, stops } = create({});
  lifecycle.stop();
  t.is(lifecycle.state, 'stopped');
  t.is(stops.length, 1);
});
