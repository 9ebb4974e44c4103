/**
 * Who calls, and whether they may: calls signed by the root, or by an operator with the role that the verb asks for.
 *
 * J1  A call that changes something is carried out once, also by the next leader, and none of a caller after a later one of
 *     the same caller: what was held back on the bus is not done when nobody expects it any more.
 * J2  What was issued to an operator before it was revoked holds for nothing; while it is not certain who was, the root alone changes anything.
 * J3  Reads are checked for their age alone: to repeat one changes nothing.
 * J4  What one caller sends takes no place of another's: an operator has a share, and the root and admins are refused for nobody
 *     else's calls, so that they can always revoke.
 */
import type { Verb } from '../../protocol/api.ts';
import { CALL_AGE_MS, CHANGING_VERBS, type OpenedCall, openCall } from '../../protocol/api-call.ts';
import { hasRole, type Operator } from '../../protocol/operator.ts';
import type { RootKeys } from '../../protocol/signed-document.ts';
import { VERB_RIGHTS } from '../../protocol/verb-rights.ts';
import { ControllerError } from '../controller-error.ts';
import type { SpentCall } from '../journal.ts';
import { CONTROLLER_LIMITS } from '../limits.ts';
import type { Caller } from './handlers.ts';

/** Of a call that was carried out. */
interface SpentNonce {
  readonly untilMs: number;
  /** Undefined: another controller has carried it out, and it counts for nobody. */
  readonly key: string | undefined;
  /** It is one of those that `noncesMax` bounds together. */
  readonly many: boolean;
}

/** How long a call is remembered. */
export const NONCE_MS = 2 * CALL_AGE_MS;

/** Why a call was denied: it is not signed and whole, of now, for the first time, or its operator may not. */
export type Denial = 'call' | 'repeated' | 'revoked' | 'role';

export interface CallGuard {
  /** @throws ControllerError `denied`, `conflict` if a later call of the same caller has been carried out */
  open(verb: Verb, text: string): Promise<{ readonly request: unknown; readonly caller: Caller }>;
  /** Calls that another controller has carried out; undefined: some that are not known, and none is taken until they are too old. */
  remember(calls: readonly SpentCall[] | undefined): void;
}

export interface CallGuardOptions {
  readonly rootKeys: () => RootKeys;
  readonly mesh: string;
  readonly wallMs: () => number;
  /** Whether what was issued to this operator holds no more; may first look what the leader has written. */
  readonly revoked: (operator: Operator) => Promise<boolean>;
  /** Throws while that is not certain, because who was revoked may have been lost. */
  readonly certain: () => void;
  readonly denied: (why: Denial, verb: Verb, operator: Operator | undefined) => void;
}

/** A call holds for `CALL_AGE_MS` before and after the time that it says: for both is its nonce kept. */
export function createCallGuard(options: CallGuardOptions): CallGuard {
  const { rootKeys, mesh, wallMs, revoked, denied } = options;
  const nonces = new Map<string, SpentNonce>();
  /** How many of them are of one key; '' is the root. */
  const shares = new Map<string, number>();
  /** And of all operators but admins. */
  let ofMany = 0;
  let blindUntilMs = 0;
  /** When the last call was made that a caller's key has signed on one host. */
  const lastCalls = new Map<string, number>();

  const opened = (verb: Verb, text: string): OpenedCall => {
    try {
      return openCall(rootKeys(), text, mesh, verb, wallMs());
    } catch (cause) {
      denied('call', verb, undefined);
      const message = cause instanceof Error ? cause.message : 'not a signed call';
      throw new ControllerError('denied', message, undefined, { cause });
    }
  };

  const authorize = async (verb: Verb, operator: Operator): Promise<void> => {
    const wanted = VERB_RIGHTS[verb];
    const { name, role } = operator;
    if (await revoked(operator)) {
      denied('revoked', verb, operator);
      throw new ControllerError(
        'denied',
        `the credentials of ${name} were revoked: have new ones made with \`weft operator create ${name}\``,
      );
    }
    if (wanted !== 'host' && wanted !== 'agent' && !hasRole(role, wanted)) {
      denied('role', verb, operator);
      throw new ControllerError(
        'denied',
        `${verb} asks for the role ${wanted}, and ${name} has ${role}: ask who has that role, or have credentials with it made with \`weft operator create\``,
      );
    }
    if (CHANGING_VERBS.has(verb)) options.certain();
  };

  /** Forgets what cannot come again. Both are kept in the order in which they came. */
  const forget = (nowMs: number): void => {
    for (const [nonce, { untilMs, key, many }] of nonces) {
      if (untilMs > nowMs) break;
      nonces.delete(nonce);
      if (key === undefined) continue;
      const left = (shares.get(key) ?? 0) - 1;
      if (left > 0) shares.set(key, left);
      else shares.delete(key);
      if (many) ofMany -= 1;
    }
    for (const [who, timeMs] of lastCalls) {
      if (timeMs > nowMs - NONCE_MS) break;
      lastCalls.delete(who);
    }
  };

  /** J1 */
  const spend = (verb: Verb, { call, operator }: OpenedCall): void => {
    const nowMs = wallMs();
    forget(nowMs);
    if (nowMs < blindUntilMs) {
      const time = new Date(blindUntilMs).toISOString();
      const message = `the journal was lost, and with it which calls were carried out: changes are taken from ${time} on, so that none is made twice`;
      throw new ControllerError('unavailable', message);
    }
    if (nonces.has(call.nonce)) {
      denied('repeated', verb, operator);
      throw new ControllerError('denied', 'call: it has been carried out before');
    }
    const key = operator?.key ?? '';
    const most =
      operator === undefined ? CONTROLLER_LIMITS.noncesMax : CONTROLLER_LIMITS.noncesPerOperatorMax;
    const many = operator !== undefined && operator.role !== 'admin';
    const share = shares.get(key) ?? 0;
    if (share >= most || (many && ofMany >= CONTROLLER_LIMITS.noncesMax)) {
      throw new ControllerError('unavailable', 'too many calls within two minutes: try again later');
    }
    const who = `${operator?.key ?? ''} ${call.author}`;
    if (call.timeMs < (lastCalls.get(who) ?? 0)) {
      denied('repeated', verb, operator);
      throw new ControllerError(
        'conflict',
        'call: a later one of the same caller has been carried out: look whether it is still wanted, and make it again',
      );
    }
    nonces.set(call.nonce, { untilMs: nowMs + NONCE_MS, key, many });
    shares.set(key, share + 1);
    if (many) ofMany += 1;
    lastCalls.delete(who);
    lastCalls.set(who, call.timeMs);
  };

  return Object.freeze({
    async open(verb: Verb, text: string) {
      const it = opened(verb, text);
      const { call, operator } = it;
      if (operator !== undefined) await authorize(verb, operator);
      if (CHANGING_VERBS.has(verb)) spend(verb, it);
      const author = operator?.name ?? `${call.author} (root)`;
      const caller: Caller = { author, role: operator?.role ?? 'root', nonce: call.nonce };
      return { request: call.request, caller };
    },
    remember(calls: readonly SpentCall[] | undefined) {
      if (calls === undefined) blindUntilMs = wallMs() + NONCE_MS;
      for (const [nonce, untilMs] of calls ?? [])
        if (!nonces.has(nonce)) nonces.set(nonce, { untilMs, key: undefined, many: false });
    },
  });
}
