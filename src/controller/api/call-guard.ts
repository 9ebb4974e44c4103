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
  /** Calls that another controller has carried out; undefined: some that are not known, and none is taken until they are too old. */
  remember(calls: readonly SpentCall[] | undefined): void;
}

/** A call holds for `CALL_AGE_MS` before and after the time that it says: for both is its nonce kept. */
export function createCallGuard(options: {
  readonly rootKey: KeyObject;
  readonly mesh: string;
  readonly wallMs: () => number;
}): CallGuard {
  const { rootKey, mesh, wallMs } = options;
  const nonces = new Map<string, number>();
  let blindUntilMs = 0;

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
    if (nowMs < blindUntilMs) {
      const time = new Date(blindUntilMs).toISOString();
      const message = `the journal was lost, and with it which calls were carried out: changes are taken from ${time} on, so that none is made twice`;
      throw new ControllerError('unavailable', message);
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
    remember(calls: readonly SpentCall[] | undefined) {
      if (calls === undefined) blindUntilMs = wallMs() + NONCE_MS;
      for (const [nonce, untilMs] of calls ?? []) if (!nonces.has(nonce)) nonces.set(nonce, untilMs);
    },
  });
}
