/**
 * Looks at one local instance again and again, and says when it has become healthy or unhealthy: after so many
 * looks in a row with the same outcome.
 */
import type { HostPort } from '../address.ts';
import type { HealthConfig } from '../workload-config.ts';
import type { Probe } from './probe.ts';

/** `unknown`: not looked at often enough yet. */
export type InstanceHealth = 'unknown' | 'healthy' | 'unhealthy';

export interface InstanceCheckParts {
  readonly target: HostPort;
  readonly health: HealthConfig;
  readonly probe: Probe;
  /** Calls once, later; returns what calls it off. */
  readonly delay: (ms: number, then: () => void) => () => void;
  readonly random: () => number;
  /** `reason`: what was wrong with it last, '' if nothing. */
  readonly changed: (health: InstanceHealth, reason: string) => void;
}

/** Starts to look, at once. Returns what ends it. */
export function startInstanceCheck(parts: InstanceCheckParts): () => void {
  const { target, probe, delay, random } = parts;
  const { intervalMs, jitter, healthyAfter, unhealthyAfter } = parts.health;
  let state: InstanceHealth = 'unknown';
  let inRow = 0;
  let lastGood: boolean | undefined;
  let cancel: () => void;

  function look(): void {
    cancel = probe(target, parts.health, seen);
  }

  function seen(fault: string | undefined): void {
    const good = fault === undefined;
    inRow = good === lastGood ? inRow + 1 : 1;
    lastGood = good;
    cancel = delay(intervalMs * (1 + jitter * (2 * random() - 1)), look);
    const next = good ? 'healthy' : 'unhealthy';
    if (next === state || inRow < (good ? healthyAfter : unhealthyAfter)) return;
    state = next;
    parts.changed(state, fault ?? '');
  }

  look();
  return () => cancel();
}
