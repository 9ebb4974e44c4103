/** Joins and renewals are answered once each, and while they are fresh: an answer costs some milliseconds. */
import { CALL_AGE_MS } from '../../protocol/api-call.ts';
import { ControllerError } from '../controller-error.ts';
import { CONTROLLER_LIMITS } from '../limits.ts';

export type RenewalGuard = ReturnType<typeof createRenewalGuard>;

export function createRenewalGuard(wallMs: () => number) {
  /** Until when each is remembered, oldest first. */
  const spent = new Map<string, number>();
  return Object.freeze({
    /**
     * Carries out what a message asks for; only if that succeeds it is spent.
     * @throws ControllerError `denied` if it was here before, or is not of now; and what `task` throws
     */
    async once<Result>(nonce: string, timeMs: number, task: () => Promise<Result>): Promise<Result> {
      const nowMs = wallMs();
      const skewMs = Math.round(timeMs - nowMs);
      if (Math.abs(skewMs) > CALL_AGE_MS) {
        throw new ControllerError(
          'denied',
          `it was made ${skewMs} ms from now: an old one, or the clock of its host is wrong; set the clock (NTP) and try again`,
        );
      }
      for (const [one, untilMs] of spent) {
        if (untilMs > nowMs) break;
        spent.delete(one);
      }
      if (spent.has(nonce)) throw new ControllerError('denied', 'it has been answered before');
      if (spent.size >= CONTROLLER_LIMITS.noncesMax) {
        throw new ControllerError(
          'unavailable',
          'too many joins and renewals within two minutes: try again later',
        );
      }
      const result = await task();
      spent.set(nonce, nowMs + 2 * CALL_AGE_MS);
      return result;
    },
  });
}
