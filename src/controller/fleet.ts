/**
 * What the controller knows of the agents, from their heartbeats: who is there, and who serves what in which state.
 *
 * Invariants: H1 a heartbeat changes something once: within a session its number grows, and an older session does
 * not come back; H2 time in which this process did not run, had no bus, or could not hear an agent for others, is no silence
 * of it; H3 of several processes under one name the one that came last counts until it falls silent: their beats in turn
 * change nothing.
 */
import type { Endpoint } from '../protocol/endpoint-list.ts';
import type { Heartbeat, WorkloadReport } from '../protocol/heartbeat.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Revision } from '../protocol/revision.ts';
import { type AgentEvent, type AgentState, nextAgentState } from './agent-state.ts';
import type { Missed } from './beat-queue.ts';
import type { CheckedBeat } from './heartbeat-check.ts';
import { createKnownServices } from './known-services.ts';
import { CONTROLLER_LIMITS, type Timing } from './limits.ts';

export interface AgentRecord {
  readonly agent: string;
  state: AgentState;
  /** Wall clock. */
  sinceMs: number;
  session: string;
  sequence: number;
  /** The agent's clock at its last heartbeat. */
  timeMs: number;
  skewMs: number;
  release: string;
  /** Services that its identity speaks for; those that it serves among them. */
  speaksFor: ReadonlySet<string>;
  /** Empty until a heartbeat has come in this process's life. */
  document: string;
  expiresAtMs: number;
  /** The root that has signed its identity. */
  issuer: string;
  workloads: readonly WorkloadReport[];
  applied: Readonly<Record<string, Revision>>;
  /** The trust list that it goes by; undefined if it has not said so. */
  trust: Revision | undefined;
  /** By the fleet's own clock. */
  heardMs: number;
  /** Sessions that it had before; the last ones. */
  former: readonly Former[];
}

/** A session in whose place another one of the same agent has come. */
interface Former {
  readonly session: string;
  readonly sequence: number;
  /** The agent's clock when it was replaced. */
  readonly timeMs: number;
  /** When it was heard all the same, by the fleet's own clock: then there are two agents of that name (H3). */
  readonly heardMs: number;
}

/** What is kept of the fleet, so that a restarted controller does not forget it. */
export interface KeptFleet {
  readonly agents: readonly Pick<
    AgentRecord,
    'agent' | 'state' | 'sinceMs' | 'session' | 'sequence' | 'timeMs' | 'release'
  >[];
  readonly services: readonly (readonly [service: string, seenMs: number])[];
}

export interface FleetOptions {
  readonly timing: Pick<Timing, 'agentLeaseMs' | 'sweepMs'>;
  readonly wallMs: () => number;
  /** Endpoints of these services may have changed. */
  readonly changed: (services: Iterable<string>) => void;
  /** Services have become known, or were forgotten. */
  readonly known: (services: readonly string[]) => void;
  /** Something happened that has to be kept. */
  readonly toKeep: () => void;
}

export type Fleet = ReturnType<typeof createFleet>;

export function createFleet({ timing, wallMs, changed, known, toKeep }: FleetOptions) {
  const agents = new Map<string, AgentRecord>();
  const serving = new Map<string, Set<AgentRecord>>();
  const services = createKnownServices(wallMs);
  /** Passes only while beats can arrive (H2). */
  let clockMs = 0;
  /** Passes only while nobody's beats are dropped. */
  let listenedMs = 0;

  const leave = (record: AgentRecord): string[] => {
    const names = record.workloads.map(({ service }) => service);
    for (const service of names) {
      const those = serving.get(service);
      if (those?.delete(record) && those.size === 0) serving.delete(service);
    }
    return names;
  };
  const enter = (record: AgentRecord): void => {
    for (const { service } of record.workloads) {
      const those = serving.get(service);
      if (those === undefined) serving.set(service, new Set([record]));
      else those.add(record);
    }
  };
  const transit = (record: AgentRecord, event: AgentEvent): void => {
    const next = nextAgentState(record.state, event);
    if (next === record.state) return;
    record.state = next;
    record.sinceMs = wallMs();
    if (next !== 'connected') changed(leave(record));
    toKeep();
  };

  const recordOf = (beat: Heartbeat): AgentRecord | undefined => {
    const known = agents.get(beat.agent);
    if (known !== undefined) return known;
    if (agents.size >= CONTROLLER_LIMITS.agentsMax) return undefined;
    const record: AgentRecord = { ...UNHEARD, agent: beat.agent, state: 'lost', sinceMs: wallMs() };
    agents.set(beat.agent, record);
    toKeep();
    return record;
  };

  /** Alive although it was replaced, unless the beat is one of before, or its last word. */
  const hearFormer = (record: AgentRecord, former: Former, beat: Heartbeat): void => {
    if (beat.sequence <= former.sequence || beat.timeMs <= former.timeMs) return;
    const heard = beat.leaving
      ? { ...former, sequence: beat.sequence, heardMs: Number.NEGATIVE_INFINITY }
      : { ...former, sequence: beat.sequence, heardMs: clockMs };
    record.former = record.former.map((one) => (one === former ? heard : one));
  };

  return Object.freeze({
    agents: agents as ReadonlyMap<string, AgentRecord>,
    services: services.names,
    /** How long beats of all agents have been listened to, ms. */
    get listenedMs() {
      return listenedMs;
    },

    /** How many other processes beat under the name of an agent (H3). */
    rivals: ({ former }: AgentRecord): number =>
      former.filter(({ heardMs }) => clockMs - heardMs < timing.agentLeaseMs).length,

    /** @returns false if it was an old one, or there is no room for one more agent. */
    hear({ beat, identity, document }: CheckedBeat): boolean {
      const record = recordOf(beat);
      if (record === undefined) return false;
      const former = record.former.find(({ session }) => session === beat.session);
      if (former !== undefined && record.state === 'connected') {
        hearFormer(record, former, beat);
        return false;
      }
      if (!isNewer(beat, record, wallMs())) {
        // By a clock that is behind it may be another process; its next beat says so.
        if (record.session !== beat.session) record.former = withFormer(record, beat);
        return false;
      }
      if (record.session !== beat.session) {
        const { session, sequence } = record;
        record.former = withFormer(record, { session, sequence, timeMs: beat.timeMs }, beat.session);
        record.applied = {};
      }
      const before = fingerprint(record);
      const touched = new Set(leave(record));
      record.session = beat.session;
      record.sequence = beat.sequence;
      record.timeMs = beat.timeMs;
      record.skewMs = Math.round(beat.timeMs - wallMs());
      record.release = beat.release;
      record.document = document;
      record.expiresAtMs = identity.expiresAtMs;
      record.issuer = identity.issuer;
      record.speaksFor = identity.workloads;
      record.workloads = beat.workloads;
      record.heardMs = clockMs;
      if (beat.applied !== undefined) record.applied = beat.applied;
      record.trust = beat.trust;
      if (!beat.leaving) enter(record);
      transit(record, beat.leaving ? 'leave' : 'beat');

      const news = beat.workloads.map(({ service }) => service).filter((service) => services.see(service));
      if (fingerprint(record) !== before) {
        for (const { service } of record.workloads) touched.add(service);
        changed(touched);
      }
      if (news.length > 0) {
        known(news);
        toKeep();
      }
      return true;
    },

    /**
     * Once every `sweepMs` while the bus is there.
     * @param passedMs since the last one, by a monotonic clock. @param missed what could not be heard meanwhile (H2)
     */
    sweep(passedMs: number, missed: Missed = NOTHING_MISSED): void {
      const stepMs = Math.min(passedMs, 2 * timing.sweepMs);
      clockMs += stepMs;
      if (!missed.strangers) listenedMs += stepMs;
      const forgottenMs = wallMs() - CONTROLLER_LIMITS.agentForgottenMs;
      for (const record of agents.values()) {
        if (record.state === 'connected') {
          if (missed.agents.has(record.agent)) record.heardMs = clockMs;
          if (clockMs - record.heardMs >= timing.agentLeaseMs) transit(record, 'silence');
        } else if (record.sinceMs < forgottenMs) {
          agents.delete(record.agent);
          toKeep();
        }
      }
      const forgotten = services.forget();
      if (forgotten.length > 0) {
        known(forgotten);
        toKeep();
      }
    },

    /** It was cut off: whatever it serves is served by it no more. */
    cut(agent: string): void {
      const record = agents.get(agent);
      if (record !== undefined) transit(record, 'leave');
    },

    /** Who serves a service, in the order of their names. */
    endpoints(service: string): Endpoint[] {
      const found: Endpoint[] = [];
      for (const { agent, document, workloads } of serving.get(service) ?? []) {
        const workload = workloads.find((one) => one.service === service);
        if (workload === undefined || document === '') continue;
        found.push({ agent, document, state: workload.state, labels: workload.labels });
      }
      return found.sort((a, b) => (a.agent < b.agent ? -1 : 1));
    },

    /** The agents that serve a service now. */
    serving: (service: string): readonly AgentRecord[] => [...(serving.get(service) ?? [])],
    servedServices: (): readonly string[] => [...serving.keys()],

    keep(): KeptFleet {
      const kept = [...agents.values()].map(
        ({ agent, state, sinceMs, session, sequence, timeMs, release }) => ({
          agent,
          state,
          sinceMs,
          session,
          sequence,
          timeMs,
          release,
        }),
      );
      return { agents: kept, services: services.entries() };
    },

    /** Takes up what was kept, where nothing newer is known. */
    restore(kept: KeptFleet): void {
      for (const one of kept.agents) {
        const known = agents.get(one.agent);
        if (known?.state === one.state) known.sinceMs = Math.min(known.sinceMs, one.sinceMs);
        if (known !== undefined || agents.size >= CONTROLLER_LIMITS.agentsMax) continue;
        // One that was connected has its lease to say that it still is.
        agents.set(one.agent, { ...UNHEARD, ...one, heardMs: clockMs });
      }
      const before = new Set(services.names);
      for (const [service, seenMs] of kept.services) services.restore(service, seenMs);
      const news = [...services.names].filter((service) => !before.has(service));
      if (news.length > 0) known(news);
    },
  });
}

const UNHEARD: Omit<AgentRecord, 'agent' | 'state' | 'sinceMs'> = Object.freeze({
  session: '',
  sequence: -1,
  timeMs: Number.NEGATIVE_INFINITY,
  skewMs: 0,
  release: '',
  speaksFor: new Set<string>(),
  document: '',
  expiresAtMs: 0,
  issuer: '',
  workloads: [],
  applied: {},
  trust: undefined,
  heardMs: 0,
  former: [],
});

const NOTHING_MISSED: Missed = Object.freeze({ agents: new Set<string>(), strangers: false });

/** The sessions that are not the present one, with one more. */
function withFormer(
  { former }: AgentRecord,
  { session, sequence, timeMs }: Pick<Former, 'session' | 'sequence' | 'timeMs'>,
  present?: string,
): Former[] {
  const others = former.filter((one) => one.session !== present && one.session !== session);
  if (session === '') return others;
  const last = { session, sequence, timeMs, heardMs: Number.NEGATIVE_INFINITY };
  return [...others, last].slice(-CONTROLLER_LIMITS.formerSessionsMax);
}

/** H1. A host whose clock was set back is heard again once its last session has ended, if it is right now. */
function isNewer(beat: Heartbeat, record: AgentRecord, wallMs: number): boolean {
  if (beat.session === record.session) return beat.sequence > record.sequence;
  if (beat.timeMs > record.timeMs) return true;
  return record.state !== 'connected' && Math.abs(beat.timeMs - wallMs) < LIMITS.packetAgeMs;
}

/** Everything of an agent that stands in endpoint lists. */
function fingerprint({ state, document, workloads }: AgentRecord): string {
  return JSON.stringify([
    state,
    document,
    workloads.map(({ service, state, labels }) => [service, state, labels]),
  ]);
}
