/**
 * Calls to the controller: what is sent on `weft.<mesh>.api.<verb>` and what comes back. A call that changes something is
 * signed, so that the right to publish on the bus is not the right to change policy.
 */
import type { KeyObject } from 'node:crypto';
import { WeftError } from './errors.ts';
import { openDocument, signDocument } from './signed-document.ts';

/** Verbs that change something: their calls have to be signed. */
export const CHANGING_VERBS: ReadonlySet<string> = new Set(['apply', 'delete', 'rollback']);

export interface ApiCall {
  readonly verb: string;
  readonly mesh: string;
  /** Wall clock of the caller, ms. */
  readonly timeMs: number;
  /** 128 random bits in hex: a call is carried out once. */
  readonly nonce: string;
  /** Who says so, for the history: `user@host`. */
  readonly author: string;
  readonly request: unknown;
}

/** What a call comes back with: JSON, either of these. */
export type ApiAnswer<Response> =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly error: ApiError };

export interface ApiError {
  readonly code: 'invalid' | 'not_found' | 'conflict' | 'denied' | 'not_leading' | 'unavailable' | 'internal';
  /** What, where, what was expected, what to do next. */
  readonly message: string;
  /** Everything that is wrong with what was sent. */
  readonly faults?: readonly ApiFault[];
}

/** A fault of one of the resources that were sent. */
export interface ApiFault {
  /** Index of the resource in the call. */
  readonly resource: number;
  readonly path: readonly (string | number)[];
  readonly found: string;
  readonly expected: string;
}

/** How long a signed call holds, and how far the clocks of operator and controller may differ. */
export const CALL_AGE_MS = 60_000;
/** Of a signed call, as text. */
export const CALL_BYTES_MAX = 1024 * 1024;

export function signCall(key: KeyObject, call: ApiCall): string {
  return signDocument(key, 'weft-call', call);
}

/**
 * A signed call, for this verb of this mesh and of now. Whether it has been here before is for the caller to know.
 * @throws WeftError `denied`
 */
export function openCall(key: KeyObject, text: string, mesh: string, verb: string, nowMs: number): ApiCall {
  const call = openDocument(key, 'weft-call', text, CALL_BYTES_MAX) as Partial<ApiCall>;
  if (call.mesh !== mesh || call.verb !== verb) throw denied('it is for another verb or mesh');
  if (typeof call.timeMs !== 'number' || Math.abs(nowMs - call.timeMs) > CALL_AGE_MS) {
    throw denied('it is too old, or the clocks of caller and controller differ by over a minute');
  }
  if (typeof call.nonce !== 'string' || !/^[0-9a-f]{32}$/.test(call.nonce)) throw denied('it has no nonce');
  if (typeof call.author !== 'string' || call.author.length > 256) throw denied('it has no author');
  return call as ApiCall;
}

function denied(what: string): WeftError {
  return new WeftError('denied', `call: ${what}`);
}
