/** The workloads of this agent that serve: which of them are ready, and what is to be said of them. */
import type { WorkloadReport, WorkloadState } from '../../protocol/heartbeat.ts';
import type { Upstream } from '../inbound/upstream.ts';
import type { WorkloadConfig } from '../workload-config.ts';
import { type Checker, createChecker } from './checker.ts';
import type { Probe } from './probe.ts';

export interface WorkloadsParts {
  readonly workloads: readonly WorkloadConfig[];
  /** By service: the instances of those that serve. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly probe: Probe;
  readonly delay: (ms: number, then: () => void) => () => void;
  readonly random: () => number;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  readonly changed: (service: string, state: WorkloadState, reason: string) => void;
}

export interface Workloads {
  isReady(service: string): boolean;
  reports(): WorkloadReport[];
  /** What is not ready, in words. */
  waiting(): string[];
  /** Begins to look after them. */
  start(): void;
  drain(): void;
  stop(): void;
}

/** Of a heartbeat; a path that is asked may be longer than what a heartbeat takes. */
const REASON_CHARACTERS_MAX = 512;

export function createWorkloads(parts: WorkloadsParts): Workloads {
  const { probe, delay, random, wallMs } = parts;
  const checkers = new Map<string, Checker>();
  const labelsOf = new Map(parts.workloads.map(({ service, labels }) => [service, labels]));
  for (const { service, upstream, health } of parts.workloads) {
    const instances = parts.upstreams.get(service);
    if (instances === undefined) continue;
    if (health !== undefined) instances.healthy.fill(false);
    const checker: Checker = createChecker({
      instances: upstream,
      health,
      probe,
      delay,
      random,
      wallMs,
      instance(at, healthy) {
        instances.healthy[at] = healthy;
      },
      changed: (state) => parts.changed(service, state, checker.reason),
    });
    checkers.set(service, checker);
  }
  const each = (visit: (checker: Checker) => void) => {
    for (const checker of checkers.values()) visit(checker);
  };
  return Object.freeze({
    isReady: (service: string) => checkers.get(service)?.state === 'ready',
    reports: () =>
      [...checkers].map(([service, { state, reason, sinceMs }]) => ({
        service,
        state,
        reason: reason.slice(0, REASON_CHARACTERS_MAX),
        sinceMs,
        labels: labelsOf.get(service) ?? {},
      })),
    waiting() {
      const unready = [...checkers].filter(([, { state }]) => state === 'starting' || state === 'unhealthy');
      return unready.map(([service, { state, reason }]) => `${service} is ${state}: ${reason}`);
    },
    start: () => each((checker) => checker.start()),
    drain: () => each((checker) => checker.drain()),
    stop: () => each((checker) => checker.stop()),
  });
}
