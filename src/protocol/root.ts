/** The mesh root: an Ed25519 key in NKey form (an account's, `SA…` and `A…`), which signs everything published. */
import { createAccount, fromSeed } from '@nats-io/nkeys';
import { WeftError } from './errors.ts';

const SEED = /^SA[A-Z2-7]{56}$/;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const KEY_BYTES = 32;

export interface Root {
  /** NKey, `A…`: what agents pin. */
  readonly publicKey: string;
  /** Raw Ed25519 seed, 32 bytes. Secret. */
  readonly secret: Uint8Array;
}

/** A new root. `seed` is the text of its seed file, and secret. */
export function createRoot(): { readonly seed: string; readonly publicKey: string } {
  const pair = createAccount();
  return { seed: Buffer.from(pair.getSeed()).toString('latin1'), publicKey: pair.getPublicKey() };
}

/**
 * Reads the text of a root's seed file.
 * @throws WeftError `internal` if it is anything but one account seed; the message does not repeat it
 */
export function readRoot(seedText: string): Root {
  const seed = seedText.trim();
  if (!SEED.test(seed)) throw new WeftError('internal', 'mesh root: expected one NKey account seed (SA…)');
  try {
    const publicKey = fromSeed(Buffer.from(seed, 'latin1')).getPublicKey();
    return Object.freeze({ publicKey, secret: keyBytes(seed, 2) });
  } catch {
    // Without its cause: that one may quote the seed.
    throw new WeftError('internal', 'mesh root: the NKey account seed does not match its checksum');
  }
}

/** The raw Ed25519 key of a public NKey that has been checked. */
export function publicKeyBytes(nkey: string): Uint8Array {
  return keyBytes(nkey, 1);
}

/** NKeys are base32 of prefix (two bytes for seeds, else one), key, CRC-16; the library does not give the key out. */
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
