/**
 * The life of an agent.
 *
 *   created ─start─▶ connecting ───────▶ syncing ──▶ serving ──drain──▶ draining ──▶ stopped
 *                    dialling ⇄ waiting  subscribing ⇄ waiting            ▲
 *                                                                         └── drain, from any state before
 *
 * Losing the bus does not change the state: the connection comes back by itself, and meanwhile requests are
 * refused at once. `stop` ends it from everywhere.
 */
import { assign, createActor, fromPromise, setup } from 'xstate';
import type { Bus } from './link/bus.ts';

export type AgentState = 'connecting' | 'syncing' | 'serving' | 'draining' | 'stopped';

export interface LifecycleSteps {
  /** Dials the bus once. */
  connect(): Promise<Bus>;
  /** Subscribes; resolves when the bus has taken note. */
  sync(bus: Bus): Promise<void>;
  /** Leaves the groups and finishes what runs, within the drain time. */
  drain(): Promise<void>;
  /** Ends what is left and closes the bus. */
  stop(bus: Bus | undefined): void;
  /** How long to wait before dialling again. */
  redialMs(): number;
  changed(state: AgentState, reason: string | undefined): void;
}

export interface Lifecycle {
  readonly state: AgentState;
  /** Why the agent is not serving yet, in words. */
  readonly reason: string | undefined;
  start(): void;
  drain(): void;
  stop(): void;
}

export function createLifecycle(steps: LifecycleSteps): Lifecycle {
  const machine = setup({
    types: {} as {
      context: { bus: Bus | undefined; reason: string | undefined };
      events: { type: 'start' } | { type: 'drain' } | { type: 'stop' };
    },
    actors: {
      connect: fromPromise<Bus>(({ signal }) => connectUnless(signal, steps)),
      sync: fromPromise<void, Bus>(({ input }) => steps.sync(input)),
      drain: fromPromise<void>(() => steps.drain()),
    },
    actions: {
      'end everything': ({ context }) => steps.stop(context.bus),
    },
    delays: { 'until the next dial': () => steps.redialMs() },
  }).createMachine({
    id: 'agent',
    context: { bus: undefined, reason: undefined },
    initial: 'created',
    on: { stop: '.stopped' },
    states: {
      created: { on: { start: 'connecting', drain: 'stopped' } },
      connecting: {
        on: { drain: 'draining' },
        initial: 'dialling',
        states: {
          dialling: {
            invoke: {
              src: 'connect',
              onDone: {
                target: '#agent.syncing',
                actions: assign({ bus: ({ event }) => event.output, reason: undefined }),
              },
              onError: {
                target: 'waiting',
                actions: assign({ reason: ({ event }) => messageOf(event.error) }),
              },
            },
          },
          waiting: { after: { 'until the next dial': 'dialling' } },
        },
      },
      syncing: {
        on: { drain: 'draining' },
        initial: 'subscribing',
        states: {
          subscribing: {
            invoke: {
              src: 'sync',
              input: ({ context }) => context.bus as Bus,
              onDone: '#agent.serving',
              onError: 'waiting',
            },
          },
          waiting: { after: { 'until the next dial': 'subscribing' } },
        },
      },
      serving: { on: { drain: 'draining' } },
      draining: { invoke: { src: 'drain', onDone: 'stopped', onError: 'stopped' } },
      stopped: { type: 'final', entry: 'end everything' },
    },
  });
  const actor = createActor(machine);
  let state: AgentState = 'connecting';
  let reason: string | undefined;
  actor.subscribe((snapshot) => {
    const value = stateOf(snapshot.value);
    if (value === state && snapshot.context.reason === reason) return;
    state = value;
    reason = snapshot.context.reason;
    steps.changed(state, reason);
  });
  actor.start();
  return {
    get state() {
      return state;
    },
    get reason() {
      return reason;
    },
    start: () => actor.send({ type: 'start' }),
    drain: () => actor.send({ type: 'drain' }),
    stop: () => actor.send({ type: 'stop' }),
  };
}

/** What the world is told: an agent that has not begun is about to connect. */
function stateOf(value: 'created' | 'serving' | 'draining' | 'stopped' | object): AgentState {
  if (typeof value === 'object') return 'syncing' in value ? 'syncing' : 'connecting';
  return value === 'created' ? 'connecting' : value;
}

/** Dials once; a connection that comes when nobody waits for it any more is closed. */
async function connectUnless(signal: AbortSignal, steps: LifecycleSteps): Promise<Bus> {
  const bus = await steps.connect();
  if (signal.aborted) await bus.close();
  return bus;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
