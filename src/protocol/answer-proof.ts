/**
 * What proves that the controller has given this answer to this call: a statement of the root beside the answer, in a header of
 * the message. Who may answer on the bus, or play an earlier answer again, can so make no operator believe anything.
 */
import { hash, type KeyObject } from 'node:crypto';
import { WeftError } from './errors.ts';
import { openDocument, type RootKeys, signDocument } from './signed-document.ts';

/** NATS header of the proof; it stands twice while another root takes the place of the present one, once for each. */
export const PROOF_HEADER = 'Weft-Proof';
/** Of a proof, as text; a mesh has a name of 63 bytes at most. */
export const PROOF_BYTES_MAX = 1024;
/** There are never more roots than these. */
export const PROOFS_MAX = 2;

export interface GivenAnswer {
  readonly mesh: string;
  readonly verb: string;
  /** What was sent, as it was sent: each call has a nonce, so no two are the same. */
  readonly call: Uint8Array;
  readonly answer: Uint8Array;
}

/** @param key the root's */
export function proveAnswer(key: KeyObject, given: GivenAnswer): string {
  return signDocument(key, 'weft-answer', claimsOf(given));
}

/**
 * @param roots that are known here @param proofs as they came with the answer
 * @throws WeftError `denied` if none of them is of such a root, or it is of another call or another answer
 */
export function checkAnswer(roots: RootKeys, given: GivenAnswer, proofs: readonly string[]): void {
  if (proofs.length === 0) throw denied('is not signed');
  const claims = firstOpened(roots, proofs.slice(0, PROOFS_MAX));
  const wanted = claimsOf(given);
  if (claims.mesh !== wanted.mesh || claims.verb !== wanted.verb || claims.call !== wanted.call) {
    throw denied('was given to another call');
  }
  if (claims.answer !== wanted.answer) throw denied('was changed on its way');
}

function firstOpened(roots: RootKeys, proofs: readonly string[]): Readonly<Record<string, unknown>> {
  for (const proof of proofs) {
    try {
      return openDocument(roots, 'weft-answer', proof, PROOF_BYTES_MAX);
    } catch (error) {
      if (!(error instanceof WeftError)) throw error;
    }
  }
  throw denied('is not signed by the root that is known here');
}

function claimsOf({ mesh, verb, call, answer }: GivenAnswer) {
  return { mesh, verb, call: digest(call), answer: digest(answer) };
}

function digest(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url');
}

function denied(what: string): WeftError {
  return new WeftError('denied', `the answer ${what}`);
}
