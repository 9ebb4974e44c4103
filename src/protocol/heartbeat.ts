/**
 * What an agent says of itself each second, and at once when something changes: its lease, its workloads and their
 * health, and what it has applied. Signed, and numbered within a session so that an old one changes nothing.
 *
 *     <introduction>~<statement, signed by the agent>
 */
import { LIMITS } from './limits.ts';
import { isLabel, isPublishedName, isServiceName } from './names.ts';
import { isHeadProof, isRevision, type Revision } from './revision.ts';

export type WorkloadState = 'starting' | 'ready' | 'unhealthy' | 'draining';

export interface WorkloadReport {
  /** `orders.default` */
  readonly service: string;
  readonly state: WorkloadState;
  /** Why it is not ready, for people; '' if it is. */
  readonly reason: string;
  /** Since when, wall clock. */
  readonly sinceMs: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Heartbeat {
  readonly version: 1;
  readonly mesh: string;
  readonly agent: string;
  /** Of the process: a restarted agent has another one. */
  readonly session: string;
  /** Grows within a session. */
  readonly sequence: number;
  /** Wall clock of the agent. */
  readonly timeMs: number;
  /** Of the weft release that it runs. */
  readonly release: string;
  /** The last one of a session: it goes, and its lease ends now. */
  readonly leaving: boolean;
  /** Those that serve. */
  readonly workloads: readonly WorkloadReport[];
  /** Services, and aliases, whose snapshots it holds, with what it has applied; absent in most beats, complete where it is there. */
  readonly applied?: Readonly<Record<string, Revision>>;
  /** `head` of the newest of these snapshots and of the trust list: how far the controllers' stores had come at least. */
  readonly heads?: readonly string[];
  /** The trust list that it goes by; absent if it has none. */
  readonly trust?: Revision;
}

/** The message of a heartbeat. @param statement the heartbeat as its agent has signed it */
export function heartbeatText(introduction: string, statement: string): string {
  return `${introduction}~${statement}`;
}

/** The introduction and the statement of a message that may be a heartbeat; nothing of it has been checked. */
export function heartbeatParts(text: string): { readonly introduction: string; readonly statement: string } {
  const at = text.lastIndexOf('~');
  return { introduction: text.slice(0, Math.max(0, at)), statement: text.slice(at + 1) };
}

const STATES: ReadonlySet<unknown> = new Set<WorkloadState>(['starting', 'ready', 'unhealthy', 'draining']);
const WORKLOADS_MAX = 1_000;
const APPLIED_MAX = 4_096;
const TEXT_MAX = 1_024;

/** A heartbeat whose signature has been checked, if it is well formed and of this mesh; else undefined. */
export function readHeartbeat(mesh: string, value: Readonly<Record<string, unknown>>): Heartbeat | undefined {
  const beat = value as Partial<Heartbeat>;
  const sound =
    beat.version === 1 &&
    beat.mesh === mesh &&
    isText(beat.agent) &&
    isLabel(beat.agent) &&
    isText(beat.session) &&
    Number.isSafeInteger(beat.sequence) &&
    Number.isFinite(beat.timeMs) &&
    isText(beat.release) &&
    typeof beat.leaving === 'boolean' &&
    Array.isArray(beat.workloads) &&
    beat.workloads.length <= WORKLOADS_MAX &&
    beat.workloads.every(isWorkloadReport) &&
    (beat.applied === undefined || isApplied(beat.applied)) &&
    (beat.heads === undefined || areHeads(beat.heads)) &&
    (beat.trust === undefined || isRevision(beat.trust));
  return sound ? (beat as Heartbeat) : undefined;
}

function isWorkloadReport(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { service, state, reason, sinceMs, labels } = value as Partial<WorkloadReport>;
  return (
    isText(service) &&
    isServiceName(service) &&
    isWorkloadState(state) &&
    isText(reason) &&
    Number.isFinite(sinceMs) &&
    typeof labels === 'object' &&
    labels !== null &&
    Object.entries(labels).every(([name, label]) => isText(name) && isText(label))
  );
}

export function isWorkloadState(value: unknown): value is WorkloadState {
  return STATES.has(value);
}

function isApplied(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= APPLIED_MAX &&
    entries.every(([name, revision]) => isPublishedName(name) && isRevision(revision))
  );
}

function areHeads(value: unknown): boolean {
  return Array.isArray(value) && value.length <= LIMITS.headProofsMax && value.every(isHeadProof);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TEXT_MAX;
}
