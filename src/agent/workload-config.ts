import { parseDuration } from '../protocol/duration.ts';
import {
  type Account,
  type HostPort,
  type ListenAddress,
  parseListen,
  parseUpstream,
  type RawListen,
} from './address.ts';
import { canonicalService } from './claims.ts';

/** How the instances of a workload are looked at. */
export interface HealthConfig {
  /** Asked for with GET; undefined: it is enough that a connection is accepted. */
  readonly path: string | undefined;
  /** Statuses that count as healthy, from and to. */
  readonly expect: readonly (readonly [from: number, to: number])[];
  readonly intervalMs: number;
  /** Share of the interval, from 0 to 1, by which each pause is longer or shorter at random. */
  readonly jitter: number;
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
  /** The users whose processes its door is for; undefined: whoever can connect to it. */
  readonly uid: readonly Account[] | undefined;
  readonly health: HealthConfig | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** A workload that the schema has let pass. */
export interface RawWorkload {
  readonly service: string | { readonly name: string; readonly namespace?: string };
  readonly upstream?: readonly string[];
  readonly listen?: RawListen;
  readonly uid?: Account | readonly Account[];
  readonly health?: {
    readonly path?: string;
    readonly tcp?: true;
    readonly expect?: readonly (number | string)[];
    readonly interval?: string;
    readonly jitter?: number;
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
    uid: raw.uid === undefined ? undefined : Object.freeze([raw.uid].flat()),
    health: raw.health === undefined ? undefined : resolveHealth(raw.health),
    labels: Object.freeze({ ...raw.labels }),
  });
}

/** What Kubernetes takes for healthy. */
const EXPECTED = ['200-399'];
const JITTER = 0.1;

function resolveHealth(raw: NonNullable<RawWorkload['health']>): HealthConfig {
  return Object.freeze({
    path: raw.path,
    expect: Object.freeze((raw.expect ?? EXPECTED).map(statusRange)),
    intervalMs: parseDuration(raw.interval ?? '2s')!,
    jitter: raw.jitter ?? JITTER,
    timeoutMs: parseDuration(raw.timeout ?? '1s')!,
    healthyAfter: raw.healthyAfter ?? 1,
    unhealthyAfter: raw.unhealthyAfter ?? 3,
  });
}

/** `204` or `200-399`. */
function statusRange(written: number | string): readonly [number, number] {
  const [from = 0, to = from] = String(written).split('-').map(Number);
  return Object.freeze([from, to] as const);
}
