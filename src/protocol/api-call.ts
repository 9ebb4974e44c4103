/**
 * Calls to the controller: what is sent on `weft.<mesh>.api.<verb>` and what comes back. Calls are signed, so that the right
 * to publish on the bus is not the right to change policy: by the root, or by an operator, whose document then goes before
 * the call (`<document>~<call>`).
 */
import type { KeyObject } from 'node:crypto';
import { WeftError } from './errors.ts';
import { verificationKey } from './nkey.ts';
import { checkOperator, type Operator } from './operator.ts';
import { openDocument, type RootKeys, signDocument } from './signed-document.ts';
import { verbsOf } from './verb-rights.ts';

/** Verbs that change something: each call of them is carried out once. */
export const CHANGING_VERBS: ReadonlySet<string> = new Set([...verbsOf('editor'), ...verbsOf('admin')]);

/** Verbs that the leader alone answers. */
export const LEADER_VERBS: ReadonlySet<string> = new Set([
  ...CHANGING_VERBS,
  ...verbsOf('host'),
  ...verbsOf('agent'),
]);

export interface ApiCall {
  readonly verb: string;
  readonly mesh: string;
  /** Wall clock of the caller, ms. */
  readonly timeMs: number;
  /** 128 random bits in hex: a call is carried out once. */
  readonly nonce: string;
  /** Where it is made: `user@host`. Of the root's calls, the history tells it. */
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
const AUTHOR_MAX = 256;

/** @param document of the operator whose key it is; none if it is the root's */
export function signCall(key: KeyObject, call: ApiCall, document?: string): string {
  const signed = signDocument(key, 'weft-call', call);
  return document === undefined ? signed : `${document}~${signed}`;
}

export interface OpenedCall {
  readonly call: ApiCall;
  /** Whose call it is; undefined: the root's. */
  readonly operator?: Operator;
}

/**
 * A signed call, for this verb of this mesh and of now. Whether it has been here before, and what its operator may do, is for
 * the caller to know.
 * @throws WeftError `denied`
 */
export function openCall(
  roots: RootKeys,
  text: string,
  mesh: string,
  verb: string,
  nowMs: number,
): OpenedCall {
  const [first = '', second, extra] = text.split('~', 3);
  if (extra !== undefined) throw denied('expected <operator document>~<call>, or a call of the root');
  const operator = second === undefined ? undefined : checkOperator(roots, mesh, first, nowMs);
  const keys = operator === undefined ? roots : verificationKey(operator.key);
  const call = openDocument(keys, 'weft-call', second ?? first, CALL_BYTES_MAX) as Partial<ApiCall>;
  if (call.mesh !== mesh || call.verb !== verb) throw denied('it is for another verb or mesh');
  if (typeof call.timeMs !== 'number' || !(Math.abs(nowMs - call.timeMs) <= CALL_AGE_MS)) {
    throw denied('it is too old, or the clocks of caller and controller differ by over a minute');
  }
  if (typeof call.nonce !== 'string' || !/^[0-9a-f]{32}$/.test(call.nonce)) throw denied('it has no nonce');
  if (typeof call.author !== 'string' || call.author.length > AUTHOR_MAX) throw denied('it has no author');
  return { call: call as ApiCall, ...(operator === undefined ? {} : { operator }) };
}

function denied(what: string): WeftError {
  return new WeftError('denied', `call: ${what}`);
}
