/**
 * Service keys: X25519, one pair for each service and epoch. What is sealed for a service can be opened by the agents
 * that are entitled to serve it, and by nobody else who is in its queue group.
 *
 * The pair follows from the root, so that no controller has to keep one; the number of the present epoch is kept.
 */
import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { Root } from './root.ts';
import { bytesOfBase64 } from './signed-document.ts';

/** The public half, as it stands in a service's endpoint list. */
export interface PublishedServiceKey {
  /** From 1, growing. */
  readonly epoch: number;
  /** X25519, base64url. */
  readonly x25519: string;
  /** Callers seal with it from then on, wall clock; those that serve have it before. */
  readonly fromMs: number;
}

/** PKCS #8 of a raw X25519 private key (RFC 8410 §7). */
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const KEY_BYTES = 32;
/** The present one, the next, and one more that was cut short by a revocation. */
const KEYS_MAX = 3;

/** The raw private half of a service's key (32 bytes). Secret. */
export function serviceSecret(root: Root, mesh: string, service: string, epoch: number): Buffer {
  const info = [mesh, service, epoch].join('\0');
  return Buffer.from(hkdfSync('sha256', root.secret, 'weft service key 1', info, KEY_BYTES));
}

export function x25519PrivateKey(secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([X25519_PKCS8, secret]), format: 'der', type: 'pkcs8' });
}

/** @param x base64url of 32 bytes */
export function x25519PublicKey(x: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
}

/** The public half of a service's key, to publish. */
export function publishedServiceKey(
  root: Root,
  mesh: string,
  service: string,
  epoch: number,
  fromMs: number,
): PublishedServiceKey {
  const key = createPublicKey(x25519PrivateKey(serviceSecret(root, mesh, service, epoch)));
  return { epoch, x25519: key.export({ format: 'jwk' }).x ?? '', fromMs };
}

/** True for the `keys` of an endpoint list: at most three, with growing epochs. */
export function arePublishedServiceKeys(value: unknown): value is readonly PublishedServiceKey[] {
  if (!Array.isArray(value) || value.length > KEYS_MAX) return false;
  let epoch = 0;
  for (const key of value as Partial<PublishedServiceKey>[]) {
    if (typeof key !== 'object' || key === null) return false;
    if (!Number.isSafeInteger(key.epoch) || (key.epoch as number) <= epoch) return false;
    if ((key.epoch as number) > 0xffff_ffff || !Number.isSafeInteger(key.fromMs)) return false;
    if (typeof key.x25519 !== 'string' || bytesOfBase64(key.x25519, KEY_BYTES) === undefined) return false;
    epoch = key.epoch as number;
  }
  return true;
}

/** The key that callers seal with at `nowMs`: the newest that has begun, else the oldest. */
export function presentKey(
  keys: readonly PublishedServiceKey[],
  nowMs: number,
): PublishedServiceKey | undefined {
  return keys.findLast(({ fromMs }) => fromMs <= nowMs) ?? keys[0];
}
