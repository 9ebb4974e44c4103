/**
 * Who may call the controller: the root, and operators. An operator has a key, and a document in which the root says
 * whose it is and what its holder may do.
 */
import type { KeyObject } from 'node:crypto';
import { WeftError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { isLabel } from './names.ts';
import { isPublicNkey } from './nkey.ts';
import { openDocument, type RootKeys, signDocument } from './signed-document.ts';

/** Each may do what those before it may. */
export const ROLES = ['viewer', 'editor', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface Operator {
  readonly mesh: string;
  /** A DNS label: what the history calls its holder. */
  readonly name: string;
  readonly role: Role;
  /** Public NKey, `U…`. */
  readonly key: string;
  /** Seconds. */
  readonly iat: number;
  readonly exp: number;
}

const DOCUMENT_BYTES_MAX = 4 * 1024;
/** So that a revocation has to be kept for as long, and no longer. */
export const OPERATOR_MS_MAX = 366 * 24 * 3_600_000;

export function isRole(value: unknown): value is Role {
  return ROLES.includes(value as Role);
}

/** Whether who has the role `has` may do what asks for `wanted`. */
export function hasRole(has: Role, wanted: Role): boolean {
  return ROLES.indexOf(has) >= ROLES.indexOf(wanted);
}

export function signOperator(rootKey: KeyObject, operator: Operator): string {
  return signDocument(rootKey, 'weft-operator', operator);
}

/**
 * Reads an operator's document; some 150 µs. Whether it was revoked is for the controller to know.
 * @throws WeftError `denied` if no root of the mesh signed it, it is for another mesh, not valid now, or malformed
 */
export function checkOperator(roots: RootKeys, mesh: string, document: string, nowMs: number): Operator {
  const claims = openDocument(roots, 'weft-operator', document, DOCUMENT_BYTES_MAX) as Partial<Operator>;
  const { name, role, key, iat, exp } = claims;
  if (claims.mesh !== mesh) throw denied('it is for another mesh');
  if (typeof name !== 'string' || !isLabel(name) || !isRole(role) || !isPublicNkey('user', key)) {
    throw denied('expected a name, a role and a public user NKey (U…)');
  }
  if (!isSeconds(iat) || !isSeconds(exp)) throw denied(`${name}: iat and exp must be seconds`);
  if ((exp - iat) * 1000 > OPERATOR_MS_MAX) throw denied(`${name}: they would hold for over 366 days`);
  if (iat * 1000 > nowMs + LIMITS.identitySkewMs) {
    throw denied(`${name}: not valid yet; is the clock of the host that made it right?`);
  }
  if (exp * 1000 <= nowMs) {
    const at = new Date(exp * 1000).toISOString();
    throw denied(`${name}: expired at ${at}: have new ones made with \`weft operator create\``);
  }
  return { mesh, name, role, key, iat, exp };
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 8.64e12;
}

function denied(what: string): WeftError {
  return new WeftError('denied', `operator credentials: ${what}`);
}
