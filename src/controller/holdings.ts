/** Which snapshots agents hold, beside those that are published. It reads what others keep, and changes nothing. */
import { compareRevisions, NO_REVISION, type Revision } from '../protocol/revision.ts';
import type { Applied } from './compile/condition.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
import type { Publisher } from './publisher.ts';

export interface HoldingOptions {
  readonly fleet: Fleet;
  readonly publisher: Publisher;
  readonly wallMs: () => number;
}

/** How far a snapshot has come. */
export interface Progress extends Applied {
  /** Some of those that have not applied it. */
  readonly waiting: readonly string[];
  /** Some of those that would want it and fell silent lately; they are not counted. */
  readonly lost: readonly string[];
}

export function createHoldings({ fleet, publisher, wallMs }: HoldingOptions) {
  /** Of the agents that want any of these, those whose held ones are all at their revision. */
  const progress = (wanted: readonly (readonly [name: string, revision: Revision])[]): Progress => {
    const waiting: string[] = [];
    const lost: string[] = [];
    let of = 0;
    let behind = 0;
    for (const record of fleet.agents.values()) {
      const concerned = wanted.filter(([name]) => wants(record, name));
      if (concerned.length === 0) continue;
      if (record.state !== 'connected') {
        if (isLostLately(record, wallMs())) add(lost, record.agent);
        continue;
      }
      of += 1;
      const has = concerned.every(
        ([name, revision]) => compareRevisions(record.applied[name] ?? NO_REVISION, revision) >= 0,
      );
      if (has) continue;
      behind += 1;
      add(waiting, record.agent);
    }
    return { applied: of - behind, of, waiting, lost };
  };

  return Object.freeze({
    progress,

    /** Names of which it holds an older snapshot than the published one, or none yet. */
    behind: ({ applied }: AgentRecord): string[] =>
      namesOf(applied, (name, revision) => {
        const published = publisher.revisionOf(name);
        return published !== undefined && compareRevisions(revision, published) < 0;
      }),

    /** Names of which it holds a snapshot that is not published, or a newer one: from a store that was lost or set back. */
    astray: ({ applied }: AgentRecord): string[] =>
      namesOf(
        applied,
        (name, revision) => compareRevisions(revision, publisher.revisionOf(name) ?? NO_REVISION) > 0,
      ),

    /** Some of the agents that hold another snapshot of it than the published one. */
    differing(name: string): { agent: string; revision: Revision }[] {
      const published = publisher.revisionOf(name) ?? NO_REVISION;
      const found: { agent: string; revision: Revision }[] = [];
      for (const { agent, state, applied } of fleet.agents.values()) {
        const revision = revisionHeld(applied[name]);
        if (state !== 'connected' || revision === undefined) continue;
        if (compareRevisions(revision, published) !== 0) found.push({ agent, revision });
        if (found.length >= CONTROLLER_LIMITS.agentsNamedMax) break;
      }
      return found;
    },
  });
}

/** Undefined of a service of which an agent would take a snapshot, and holds none. */
export function revisionHeld(revision: Revision | undefined): Revision | undefined {
  return revision === undefined || compareRevisions(revision, NO_REVISION) === 0 ? undefined : revision;
}

/** It went without a word, not long ago. */
export function isLostLately({ state, sinceMs }: AgentRecord, wallMs: number): boolean {
  return state === 'lost' && wallMs - sinceMs < CONTROLLER_LIMITS.lostToldMs;
}

/** It has said that it follows it; whoever serves it does. */
function wants({ applied, workloads }: AgentRecord, name: string): boolean {
  return applied[name] !== undefined || workloads.some(({ service }) => service === name);
}

function namesOf(
  applied: AgentRecord['applied'],
  is: (name: string, revision: Revision) => boolean,
): string[] {
  return Object.entries(applied)
    .filter(([name, revision]) => is(name, revision))
    .map(([name]) => name)
    .sort();
}

function add(names: string[], name: string): void {
  if (names.length < CONTROLLER_LIMITS.agentsNamedMax) names.push(name);
}
