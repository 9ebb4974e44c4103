/**
 * Ed25519 keys in NKey form (the form of NATS: base32 of a prefix, the key and a CRC-16), as node:crypto needs them.
 * The library checks the text; it does not give the raw key out.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { fromPublic, fromSeed } from '@nats-io/nkeys';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const KEY_BYTES = 32;
/** PKCS #8 of a raw Ed25519 seed (RFC 8410 §7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** `A…` and `SA…`: the mesh root. `U…` and `SU…`: an agent, a controller or an operator, whose NATS credential it can be. */
export type NkeyKind = 'account' | 'user';
/** The first byte of a public NKey. */
const PREFIX: Readonly<Record<NkeyKind, number>> = Object.freeze({ account: 0, user: 20 << 3 });
const LETTER: Readonly<Record<NkeyKind, string>> = Object.freeze({ account: 'A', user: 'U' });

/** True for a whole public NKey of that kind, checksum included. */
export function isPublicNkey(kind: NkeyKind, text: unknown): text is string {
  if (typeof text !== 'string' || text.length !== 56 || !text.startsWith(LETTER[kind])) return false;
  try {
    return fromPublic(text).getPublicKey() === text;
  } catch {
    return false;
  }
}

/** The public NKey of a seed; undefined if the text is no whole seed of that kind. */
export function publicNkeyOf(kind: NkeyKind, seed: string): string | undefined {
  if (seed.length !== 58 || !seed.startsWith(`S${LETTER[kind]}`)) return undefined;
  try {
    fromSeed(Buffer.from(seed, 'latin1'));
  } catch {
    return undefined;
  }
  // The library would derive it too, in fifty times the time: agents, commands and tests begin with it.
  const { x } = createPublicKey(ed25519PrivateKey(seedBytes(seed))).export({ format: 'jwk' });
  return nkeyText(kind, Buffer.from(x as string, 'base64url'));
}

/** The raw Ed25519 seed (32 bytes) of an NKey seed that has been checked. Secret. */
export function seedBytes(seed: string): Uint8Array {
  return keyBytes(seed, 2);
}

/** The raw Ed25519 key (32 bytes) of a public NKey that has been checked. */
export function publicKeyBytes(nkey: string): Uint8Array {
  return keyBytes(nkey, 1);
}

/** What a raw Ed25519 seed signs with. */
export function ed25519PrivateKey(secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, secret]), format: 'der', type: 'pkcs8' });
}

/** What checks the signatures of a public NKey that has been checked. */
export function verificationKey(nkey: string): KeyObject {
  const x = Buffer.from(publicKeyBytes(nkey)).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** The text of a raw public key. */
function nkeyText(kind: NkeyKind, key: Uint8Array): string {
  const bytes = Buffer.concat([Buffer.of(PREFIX[kind]), key, Buffer.alloc(2)]);
  bytes.writeUInt16LE(crc16(bytes.subarray(0, -2)), bytes.length - 2);
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(value >>> (bits - 5)) & 31];
  }
  return text;
}

/** CRC-16/XMODEM. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
  }
  return crc;
}

/** Seeds have a prefix of two bytes, public keys of one. */
function keyBytes(nkey: string, prefixBytes: number): Uint8Array {
  const bytes = new Uint8Array(prefixBytes + KEY_BYTES);
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const letter of nkey) {
    value = ((value << 5) | BASE32.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits < 8 || at === bytes.length) continue;
    bits -= 8;
    bytes[at] = value >>> bits;
    at += 1;
  }
  return bytes.subarray(prefixBytes);
}
