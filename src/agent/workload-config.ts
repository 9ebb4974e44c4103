import { parseDuration } from '../protocol/duration.ts';
import { type HostPort, type ListenAddress, parseListen, parseUpstream } from './address.ts';
import { canonicalService } from './claims.ts';

/** How a workload is to be probed. Read and checked now; the probing itself comes with the control plane. */
export interface HealthConfig {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

export interface WorkloadConfig {
  /** Canonical: `orders.default`. */
  readonly service: string;
  /** Its local instances; empty for a workload that only calls. */
  readonly upstream: readonly HostPort[];
  /** Its door; undefined for a workload that only serves. */
  readonly listen: ListenAddress | undefined;
  readonly health: HealthConfig | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** A workload that the schema has let pass. */
export interface RawWorkload {
  readonly service: string | { readonly name: string; readonly namespace?: string };
  readonly upstream?: readonly string[];
  readonly listen?: string;
  readonly health?: {
    readonly path: string;
    readonly interval?: string;
    readonly timeout?: string;
    readonly healthyAfter?: number;
    readonly unhealthyAfter?: number;
  };
  readonly labels?: Readonly<Record<string, string>>;
}

/** The plain values of a workload that has been checked. */
export function resolveWorkload(raw: RawWorkload): WorkloadConfig {
  const upstream = (raw.upstream ?? []).map(parseUpstream).filter((address) => address !== undefined);
  return Object.freeze({
    service: canonicalService(raw.service)!,
    upstream: Object.freeze(upstream),
    listen: raw.listen === undefined ? undefined : parseListen(raw.listen),
    health: raw.health === undefined ? undefined : resolveHealth(raw.health),
    labels: Object.freeze({ ...raw.labels }),
  });
}

function resolveHealth(raw: NonNullable<RawWorkload['health']>): HealthConfig {
  return Object.freeze({
    path: raw.path,
    intervalMs: parseDuration(raw.interval ?? '2s')!,
    timeoutMs: parseDuration(raw.timeout ?? '1s')!,
    healthyAfter: raw.healthyAfter ?? 1,
    unhealthyAfter: raw.unhealthyAfter ?? 3,
  });
}
