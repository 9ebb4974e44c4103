/**
 * The local instances of one workload: a request goes to the one with the fewest under way. One that has just
 * refused has the fewest, and would draw every request: for a moment it is asked only if all have refused. One
 * that health checks have found unhealthy is asked only while none is healthy.
 */
import { LIMITS } from '../../protocol/limits.ts';
import type { HostPort } from '../address.ts';
import { Pool } from '../http1/pool.ts';

export class Upstream {
  readonly pools: readonly Pool[];
  /** By pool; kept up to date by the health checks, if there are any. */
  readonly healthy: boolean[];
  readonly #now: () => number;
  /** By pool: when it has refused. */
  readonly #refusedMs: number[];
  #next = 0;

  constructor(instances: readonly HostPort[], now: () => number) {
    this.pools = instances.map((instance) => new Pool(instance, now));
    this.healthy = instances.map(() => true);
    this.#now = now;
    this.#refusedMs = instances.map(() => Number.NEGATIVE_INFINITY);
  }

  /** The instance for one request; `except` has just failed to take it. Undefined if there is no other. */
  choose(except?: Pool): Pool | undefined {
    const { pools, healthy } = this;
    if (pools.length === 1) return except === undefined ? pools[0] : undefined;
    const nowMs = this.#now();
    if (except !== undefined) this.#refusedMs[pools.indexOf(except)] = nowMs;
    const anyHealthy = healthy.includes(true);
    let chosen: Pool | undefined;
    let chosenAvoided = true;
    this.#next = (this.#next + 1) % pools.length;
    for (let index = 0; index < pools.length; index++) {
      const at = (this.#next + index) % pools.length;
      const pool = pools[at] as Pool;
      if (pool === except || (anyHealthy && !healthy[at])) continue;
      const avoided = nowMs - (this.#refusedMs[at] as number) < LIMITS.upstreamAvoidMs;
      if (
        chosen === undefined ||
        (avoided === chosenAvoided ? pool.pending < chosen.pending : chosenAvoided)
      ) {
        chosen = pool;
        chosenAvoided = avoided;
      }
    }
    return chosen;
  }

  expire(nowMs: number): void {
    for (const pool of this.pools) pool.expire(nowMs);
  }

  close(): void {
    for (const pool of this.pools) pool.close();
  }
}
