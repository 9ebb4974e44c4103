/** Signed calls, each carried out once. */
import type { KeyObject } from 'node:crypto';
import { type ApiCall, CALL_AGE_MS, openCall } from '../../protocol/api-call.ts';
import { ControllerError } from '../controller-error.ts';
import type { SpentCall } from '../journal.ts';
import { CONTROLLER_LIMITS } from '../limits.ts';

/** How long a call is remembered. */
export const NONCE_MS = 2 * CALL_AGE_MS;

export interface CallGuard {
  /** @throws ControllerError `denied` if it is not signed, not for this verb and time, or was here before */
  open(verb: string, text: string): ApiCall;
  /** Calls that another controller has carried out. */
  remember(calls: readonly SpentCall[]): void;
}

/** A call holds for `CALL_AGE_MS` before and after the time that it says: for both is its nonce kept. */
export function createCallGuard(options: {
  readonly rootKey: KeyObject;
  readonly mesh: string;
  readonly wallMs: () => number;
}): CallGuard {
  const { rootKey, mesh, wallMs } = options;
  const nonces = new Map<string, number>();

  const open = (verb: string, text: string): ApiCall => {
    const nowMs = wallMs();
    let call: ApiCall;
    try {
      call = openCall(rootKey, text, mesh, verb, nowMs);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : 'not a signed call';
      throw new ControllerError('denied', message, undefined, { cause });
    }
    // Oldest first, because they are kept in the order in which they came.
    for (const [nonce, untilMs] of nonces) {
      if (untilMs > nowMs) break;
      nonces.delete(nonce);
    }
    if (nonces.has(call.nonce)) throw new ControllerError('denied', 'call: it has been carried out before');
    if (nonces.size >= CONTROLLER_LIMITS.noncesMax) {
      throw new ControllerError('unavailable', 'too many calls within two minutes: try again later');
    }
    nonces.set(call.nonce, nowMs + NONCE_MS);
    return call;
  };

  return Object.freeze({
    open,
    remember(calls: readonly SpentCall[]) {
      for (const [nonce, untilMs] of calls) if (!nonces.has(nonce)) nonces.set(nonce, untilMs);
    },
  });
}
