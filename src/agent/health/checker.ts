/**
 * Whether a workload can take requests now.
 *
 *              one instance is healthy              none is healthy any more
 *   starting ───────────────────────────▶ ready ◀────────────────────────────▶ unhealthy
 *      │            all have been found unhealthy      one instance is healthy     ▲
 *      ├───────────────────────────────────────────────────────────────────────────┘
 *      └── drain, from any state ──▶ draining
 *
 * H1  A workload without health checks is ready from the start.
 * H2  It is ready only while at least one of its instances is healthy; unknown is not healthy.
 * H3  One that drains never becomes ready again, and is not looked at any more.
 */
import { assign, createActor, setup } from 'xstate';
import type { WorkloadState } from '../../protocol/heartbeat.ts';
import type { HostPort } from '../address.ts';
import type { HealthConfig } from '../workload-config.ts';
import { type InstanceHealth, startInstanceCheck } from './instance-check.ts';
import type { Probe } from './probe.ts';

export interface CheckerParts {
  readonly instances: readonly HostPort[];
  readonly health: HealthConfig | undefined;
  readonly probe: Probe;
  readonly delay: (ms: number, then: () => void) => () => void;
  readonly random: () => number;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** An instance, by its place, is healthy from now on, or is not. */
  readonly instance: (at: number, healthy: boolean) => void;
  /** The workload has another state. */
  readonly changed: (state: WorkloadState) => void;
}

export interface Checker {
  readonly state: WorkloadState;
  /** Why it is not ready, in words; '' if it is. */
  readonly reason: string;
  /** Wall clock, ms. */
  readonly sinceMs: number;
  /** Begins to look. */
  start(): void;
  drain(): void;
  /** Ends all looking. */
  stop(): void;
}

/** How many instances there are, are healthy and are unhealthy; and what is wrong with one of them. */
interface Tally {
  readonly all: number;
  readonly healthy: number;
  readonly unhealthy: number;
  readonly reason: string;
}

type Happening = { readonly type: 'seen'; readonly tally: Tally } | { readonly type: 'drain' };

export function createChecker(parts: CheckerParts): Checker {
  const { instances, health } = parts;
  const found: { health: InstanceHealth; reason: string }[] = instances.map(() => ({
    health: 'unknown',
    reason: '',
  }));
  let ends: (() => void)[] = [];
  const endChecks = () => {
    for (const end of ends.splice(0)) end();
  };

  const machine = setup({
    types: { context: {} as { reason: string }, events: {} as Happening },
    guards: {
      'an instance is healthy': ({ event }) => event.type === 'seen' && event.tally.healthy > 0,
      'none is healthy': ({ event }) => event.type === 'seen' && event.tally.healthy === 0,
      'all are unhealthy': ({ event }) => event.type === 'seen' && event.tally.unhealthy === event.tally.all,
    },
    actions: {
      'say what is wrong': assign({
        reason: ({ event }) => (event.type === 'seen' ? event.tally.reason : 'the agent drains'),
      }),
      'nothing is wrong': assign({ reason: '' }),
      'end the checks': endChecks,
    },
  }).createMachine({
    id: 'workload',
    context: { reason: health === undefined ? '' : 'its first health check is not over' },
    initial: health === undefined ? 'ready' : 'starting',
    on: { drain: '.draining' },
    states: {
      starting: {
        on: {
          seen: [
            { guard: 'an instance is healthy', target: 'ready', actions: 'nothing is wrong' },
            { guard: 'all are unhealthy', target: 'unhealthy', actions: 'say what is wrong' },
            { actions: 'say what is wrong' },
          ],
        },
      },
      ready: {
        on: { seen: { guard: 'none is healthy', target: 'unhealthy', actions: 'say what is wrong' } },
      },
      unhealthy: {
        on: {
          seen: [
            { guard: 'an instance is healthy', target: 'ready', actions: 'nothing is wrong' },
            { actions: 'say what is wrong' },
          ],
        },
      },
      draining: {
        entry: ['say what is wrong', 'end the checks'],
        on: { drain: undefined },
      },
    },
  });
  const actor = createActor(machine);
  let state: WorkloadState = actor.getSnapshot().value;
  let sinceMs = parts.wallMs();
  actor.subscribe(({ value }) => {
    if (value === state) return;
    state = value;
    sinceMs = parts.wallMs();
    parts.changed(state);
  });
  actor.start();

  function seen(at: number, instance: InstanceHealth, reason: string): void {
    found[at] = { health: instance, reason };
    parts.instance(at, instance === 'healthy');
    const count = (wanted: InstanceHealth) => found.filter((one) => one.health === wanted).length;
    const wrong = found.find((one) => one.reason !== '')?.reason ?? '';
    const tally = { all: found.length, healthy: count('healthy'), unhealthy: count('unhealthy') };
    actor.send({ type: 'seen', tally: { ...tally, reason: wrong } });
  }

  return Object.freeze({
    get state() {
      return state;
    },
    get reason() {
      return actor.getSnapshot().context.reason;
    },
    get sinceMs() {
      return sinceMs;
    },
    start() {
      if (health === undefined || state === 'draining') return;
      const { probe, delay, random } = parts;
      ends = instances.map((target, at) =>
        startInstanceCheck({
          target,
          health,
          probe,
          delay,
          random,
          changed: (instance, reason) => seen(at, instance, reason),
        }),
      );
    },
    drain: () => actor.send({ type: 'drain' }),
    stop() {
      endChecks();
      actor.stop();
    },
  });
}
