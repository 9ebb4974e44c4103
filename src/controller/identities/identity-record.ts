/** What the identity bucket holds: who was invited, who is enrolled, and which keys services have. No secret is in it. */
import type { OperatorRecord } from '../operators.ts';

/** A join token; its secret follows from the root and its number. */
export interface TokenRecord {
  readonly id: string;
  readonly host: string;
  /** The root that its secret follows from, and that its host pins. */
  readonly root: string;
  readonly workloads: readonly string[];
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** When it was used; it can be used once. */
  readonly usedMs?: number;
}

/** An agent with the keys that it has proven. */
export interface EnrolledAgent {
  readonly agent: string;
  /** Public NKey, `U…`. */
  readonly key: string;
  /** Base64url. */
  readonly x25519: string;
  readonly workloads: readonly string[];
  /** When it was given these keys. */
  readonly keyMs: number;
  /** The key that these have taken the place of; for a while it may ask for the answer that it has not got. */
  readonly formerKey?: string;
  /** Whole seconds: identities from before hold no more, once the overlap is over. */
  readonly replacedMs?: number;
  /** Whole seconds: identities from before hold no more, from then on. */
  readonly revokedMs?: number;
  /** False from a revocation until a new token is used. */
  readonly enrolled: boolean;
  /** Keys from before that are to be replaced. */
  readonly renewMs?: number;
}

/** One key of a service. */
export interface ServiceEpoch {
  readonly epoch: number;
  /** When callers begin to use it, wall clock. */
  readonly fromMs: number;
  /** The root that it follows from. */
  readonly root: string;
}

/** Of a service: epochs of its key, oldest first. */
export interface ServiceKeysRecord {
  readonly service: string;
  readonly keys: readonly ServiceEpoch[];
}

export type IdentityRecord =
  | { readonly token: TokenRecord }
  | { readonly agent: EnrolledAgent }
  | { readonly service: ServiceKeysRecord }
  | { readonly operator: OperatorRecord };

/** Where a record lies in the bucket. */
export function identityKey(record: IdentityRecord): string {
  if ('token' in record) return `token.${record.token.id}`;
  if ('agent' in record) return `agent.${record.agent.agent}`;
  if ('operator' in record) return `operator.${record.operator.name}`;
  return `service.${record.service.service}`;
}
