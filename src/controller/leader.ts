/**
 * Which controller leads: the one that holds the lease.
 *
 *   standby ──lease is free──▶ claiming ──won──▶ leading ──── lost, bus away ────▶ standby
 *   looking ⇄ waiting             │              holding ⇄ renewing
 *      ▲                          │                 │ no renewal within the trust
 *      └────────── not won ───────┴─────────────────┘
 *   stop, from everywhere ──▶ stopped (a lease that was held is released)
 *
 * Invariants: D1 whoever leads stops to lead before its lease can count as free to anybody; D2 a lease is taken over
 * only if it did not change for its whole time by the clock of the one who takes it: wall clocks are never compared;
 * D3 losing the bus ends leading at once.
 */
import { assign, createActor, fromPromise, setup } from 'xstate';
import type { LeaseTurn } from './lease.ts';

export type LeaderState = 'standby' | 'claiming' | 'leading' | 'stopped';

export interface LeaderSteps {
  readonly lease: {
    /** Whether the lease may be claimed now. */
    look(): Promise<boolean>;
    /** True if it is ours from now on. */
    claim(): Promise<LeaseTurn>;
    renew(): Promise<LeaseTurn>;
    release(): Promise<void>;
  };
  readonly renewMs: number;
  readonly trustMs: number;
  /** Monotonic, ms. */
  now(): number;
  changed(state: LeaderState): void;
}

export interface Leader {
  readonly state: LeaderState;
  /** True if this one may act: it leads, and its last renewal is to be trusted. */
  readonly leading: boolean;
  /** Another one has written, or the bus is away: leads no more, at once. */
  lost(): void;
  /** The bus is back. */
  back(): void;
  /** Releases the lease if it is held. Idempotent. */
  stop(): Promise<void>;
}

export function createLeader(steps: LeaderSteps): Leader {
  const { lease } = steps;
  const machine = setup({
    types: {} as { context: { heldSinceMs: number }; events: { type: 'lost' | 'back' | 'stop' } },
    actors: {
      look: fromPromise<boolean>(() => lease.look()),
      claim: fromPromise<LeaseTurn>(() => lease.claim()),
      renew: fromPromise<LeaseTurn>(() => lease.renew()),
    },
    delays: {
      'until the next look': () => steps.renewMs,
      'until the trust ends': ({ context }) => Math.max(0, context.heldSinceMs + steps.trustMs - steps.now()),
    },
  }).createMachine({
    id: 'leader',
    context: { heldSinceMs: 0 },
    initial: 'standby',
    on: { stop: '.stopped' },
    states: {
      standby: {
        // An answer that was asked for before the bus went away does not come any more.
        on: { back: '.looking' },
        initial: 'looking',
        states: {
          looking: {
            invoke: {
              src: 'look',
              onDone: [
                { guard: ({ event }) => event.output, target: '#leader.claiming' },
                { target: 'waiting' },
              ],
              onError: 'waiting',
            },
          },
          waiting: { after: { 'until the next look': 'looking' } },
        },
      },
      claiming: {
        on: { lost: 'standby.waiting' },
        invoke: {
          src: 'claim',
          onDone: [
            {
              guard: ({ event }) => event.output.held,
              target: 'leading',
              actions: assign({ heldSinceMs: ({ event }) => event.output.sinceMs }),
            },
            { target: 'standby.waiting' },
          ],
          onError: 'standby.waiting',
        },
      },
      leading: {
        on: { lost: 'standby.waiting' },
        initial: 'holding',
        states: {
          holding: {
            always: {
              guard: ({ context }) => steps.now() >= context.heldSinceMs + steps.trustMs,
              target: '#leader.standby.waiting',
            },
            after: { 'until the next look': 'renewing', 'until the trust ends': '#leader.standby.waiting' },
          },
          renewing: {
            after: { 'until the trust ends': '#leader.standby.waiting' },
            invoke: {
              src: 'renew',
              onDone: [
                {
                  guard: ({ event }) => event.output.held,
                  target: 'holding',
                  actions: assign({ heldSinceMs: ({ event }) => event.output.sinceMs }),
                },
                { target: '#leader.standby.waiting' },
              ],
              // It may have failed on its way only; the trust ends by itself.
              onError: 'holding',
            },
          },
        },
      },
      stopped: { type: 'final' },
    },
  });
  const actor = createActor(machine);
  let state: LeaderState = 'standby';
  actor.subscribe((snapshot) => {
    const value = typeof snapshot.value === 'string' ? snapshot.value : Object.keys(snapshot.value)[0];
    if (value === state) return;
    state = value as LeaderState;
    steps.changed(state);
  });
  actor.start();
  let release: Promise<void> | undefined;
  return Object.freeze({
    get state() {
      return state;
    },
    get leading() {
      const { heldSinceMs } = actor.getSnapshot().context;
      // A process that did not run for a while has not heard its timers yet.
      return state === 'leading' && steps.now() < heldSinceMs + steps.trustMs;
    },
    lost: () => actor.send({ type: 'lost' }),
    back: () => actor.send({ type: 'back' }),
    stop() {
      if (release === undefined) {
        const held = state === 'leading';
        actor.send({ type: 'stop' });
        release = held ? lease.release().catch(() => {}) : Promise.resolve();
      }
      return release;
    },
  });
}
