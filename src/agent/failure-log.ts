/** Logs requests that failed, but never faster than a person can read: a flood is summed up. */
import type { Logger } from 'pino';
import { ERRORS, type WeftError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { createLogRate } from '../protocol/log-rate.ts';
import type { Side } from './side.ts';

/** A request that ended with an error of ours. */
export interface FailedRequest {
  /** Of the agent, on which it was noticed. */
  readonly side: Side;
  readonly error: WeftError;
  readonly caller: string | undefined;
  readonly service: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly traceId: string | undefined;
  /** The agent that had the request. */
  readonly endpoint: string | undefined;
  readonly tries: number;
}

export function createFailureLog(log: Logger, now: () => number): (failure: FailedRequest) => void {
  const mayLog = createLogRate(LIMITS.failuresLoggedPerSecond, now, (suppressed) =>
    log.warn({ suppressed }, 'more requests failed than were logged'),
  );
  return ({ error, ...request }) => {
    if (!mayLog()) return;
    const { code, message, cause } = error;
    // Queries may hold secrets.
    const path = request.path?.split('?', 1)[0];
    const entry = { code, fault: ERRORS[code].fault, details: message, ...request, path };
    if (code === 'internal') log.error({ ...entry, err: cause }, 'request failed');
    else log.warn(entry, 'request failed');
  };
}
