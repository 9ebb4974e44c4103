/** What went against the controller lately, for `weft check`: how often, when last, and what for example. */
import { CONTROLLER_LIMITS } from './limits.ts';

export interface Incident {
  readonly count: number;
  readonly lastMs: number;
  /** The last few of them. */
  readonly names: readonly string[];
}

export type Incidents = ReturnType<typeof createIncidents>;

/** @param toldMs how long after the last one there is something to tell; @param wallMs wall clock */
export function createIncidents(toldMs: number, wallMs: () => number) {
  let count = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  const names = new Set<string>();
  return Object.freeze({
    add(name: string): void {
      if (this.recent === undefined) {
        count = 0;
        names.clear();
      }
      count += 1;
      lastMs = wallMs();
      // The last ones are those that are kept.
      names.delete(name);
      names.add(name);
      if (names.size > CONTROLLER_LIMITS.incidentsNamedMax)
        for (const oldest of names) {
          names.delete(oldest);
          break;
        }
    },
    /** Undefined if there was none, or not lately. */
    get recent(): Incident | undefined {
      return wallMs() - lastMs > toldMs ? undefined : { count, lastMs, names: [...names] };
    },
  });
}
