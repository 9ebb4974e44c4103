/**
 * Whether a request that failed may be sent again, and when. One more try, only when no application can have
 * seen it (RFC 9110 §9.2.2), and only within the budget, so that retries never multiply an overload (Finagle).
 */
import { ERRORS, type ErrorCode, WeftError } from '../../protocol/errors.ts';
import { type Fields, fieldValue } from '../../protocol/fields.ts';
import { isIdempotent } from '../../protocol/idempotent.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Retry } from '../../protocol/snapshot.ts';

const SECONDS = LIMITS.retryWindowMs / 1000;

export class RetryBudget {
  readonly #now: () => number;
  /** Requests and retries of each of the last seconds, by second modulo the window. */
  readonly #requests = new Uint32Array(SECONDS);
  readonly #retries = new Uint32Array(SECONDS);
  #second: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#second = Math.floor(now() / 1000);
  }

  request(): void {
    this.#requests[this.#turn()]! += 1;
  }

  /** Takes one retry out of the budget; false if it is used up. */
  retry(): boolean {
    const slot = this.#turn();
    const allowed = LIMITS.retryPerSecond * SECONDS + sum(this.#requests) * LIMITS.retryRatio;
    if (sum(this.#retries) + 1 > allowed) return false;
    this.#retries[slot]! += 1;
    return true;
  }

  /** Forgets the seconds that have left the window; returns the slot of this one. */
  #turn(): number {
    const second = Math.floor(this.#now() / 1000);
    const passed = Math.min(second - this.#second, SECONDS);
    for (let ago = 0; ago < passed; ago++) {
      const slot = (second - ago) % SECONDS;
      this.#requests[slot] = 0;
      this.#retries[slot] = 0;
    }
    if (passed > 0) this.#second = second;
    return second % SECONDS;
  }
}

/** True if trying again could help and cannot act twice. While the bus is away nothing helps. */
export function worthRetrying(code: ErrorCode): boolean {
  return ERRORS[code].retryable && code !== 'bus_down' && code !== 'deadline_spent';
}

/** What ends a try without the application's answer, whether or not the application has seen the request. */
const CONNECTION_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'upstream_refused',
  'upstream_connect_timeout',
  'upstream_closed',
  'not_accepted',
  'stream_lost',
  'bus_lost',
  'agent_lost',
  'no_endpoint',
  'not_serving',
  'deadline',
]);

export function isConnectionError(code: ErrorCode): boolean {
  return CONNECTION_ERRORS.has(code);
}

/**
 * True if the retry stanza of a route covers an error after which an application may have seen the request
 * (GEP-1731). A stanza that names codes is followed as written; one that does not holds for what may be repeated.
 */
export function routeRetries(retry: Retry, code: ErrorCode, method: string, fields: Fields): boolean {
  if (!isConnectionError(code)) return false;
  return (
    retry.codes.length > 0 || isIdempotent(method) || fieldValue(fields, 'idempotency-key') !== undefined
  );
}

/** The same, or that no application can have seen the request. `retry`: what its route says, if anything. */
export function worthRepeating(
  retry: Retry | undefined,
  code: ErrorCode,
  method: string,
  fields: Fields,
): boolean {
  return worthRetrying(code) || (retry !== undefined && routeRetries(retry, code, method, fields));
}

/** What the caller is told when the last try of a route's retries has not reached the application (GEP-1731). */
export function exhausted(error: WeftError, tries: number): WeftError {
  if (tries === 1 || !isConnectionError(error.code) || error.code === 'deadline') return error;
  const last = `${tries} tries, of which the last ended with ${error.code}: ${error.message}`;
  return new WeftError('retries_exhausted', last);
}

/** What the caller is told when a route's retry is refused because the budget is used up: 503, whatever `why` (GEP-3388). */
export function overBudget(why: string): WeftError {
  const budget = `${LIMITS.retryPerSecond} a second and ${LIMITS.retryRatio * 100} % of the requests`;
  return new WeftError(
    'retry_budget_spent',
    `${why}: not tried again, over the budget of ${budget} of this agent`,
  );
}

/** Wait before a retry in milliseconds: full jitter, so that those who failed together do not return together. */
export function backoffMs(retry: number, random: () => number): number {
  return random() * Math.min(LIMITS.backoffCapMs, LIMITS.backoffBaseMs * 2 ** retry);
}

function sum(values: Uint32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
