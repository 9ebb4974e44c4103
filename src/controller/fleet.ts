/**
 * What the controller knows of the agents, from their heartbeats: who is there, and who serves what in which state.
 *
 * Invariants: H1 a heartbeat changes something once: within a session its number grows, and an older session does
 * not come back; H2 time in which this process did not run, or had no bus, is no silence of an agent's.
 */
import type { Endpoint } from '../protocol/endpoint-list.ts';
import type { Heartbeat, WorkloadReport } from '../protocol/heartbeat.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Revision } from '../protocol/revision.ts';
import { type AgentEvent, type AgentState, nextAgentState } from './agent-state.ts';
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
  /** Empty until a heartbeat has come in this process's life. */
  document: string;
  expiresAtMs: number;
  workloads: readonly WorkloadReport[];
  applied: Readonly<Record<string, Revision>>;
  /** By the fleet's own clock. */
  heardMs: number;
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

  return Object.freeze({
    agents: agents as ReadonlyMap<string, AgentRecord>,
    services: services.names,
    /** How long beats have been listened to, ms. */
    get listenedMs() {
      return clockMs;
    },

    /** @returns false if it was an old one, or there is no room for one more agent. */
    hear({ beat, identity }: CheckedBeat): boolean {
      const record = recordOf(beat);
      if (record === undefined || !isNewer(beat, record, wallMs())) return false;
      if (record.session !== beat.session) record.applied = {};
      const before = fingerprint(record);
      const touched = new Set(leave(record));
      record.session = beat.session;
      record.sequence = beat.sequence;
      record.timeMs = beat.timeMs;
      record.skewMs = Math.round(beat.timeMs - wallMs());
      record.release = beat.release;
      record.document = beat.document;
      record.expiresAtMs = identity.expiresAtMs;
      record.workloads = beat.workloads;
      record.heardMs = clockMs;
      if (beat.applied !== undefined) record.applied = beat.applied;
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

    /** Once every `sweepMs` while the bus is there. @param passedMs since the last one, by a monotonic clock */
    sweep(passedMs: number): void {
      clockMs += Math.min(passedMs, 2 * timing.sweepMs);
      const forgottenMs = wallMs() - CONTROLLER_LIMITS.agentForgottenMs;
      for (const record of agents.values()) {
        if (record.state === 'connected') {
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
        if (agents.has(one.agent) || agents.size >= CONTROLLER_LIMITS.agentsMax) continue;
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
  document: '',
  expiresAtMs: 0,
  workloads: [],
  applied: {},
  heardMs: 0,
});

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
