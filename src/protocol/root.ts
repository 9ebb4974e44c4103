/** The mesh root: an Ed25519 key in NKey form (an account's, `SA…` and `A…`), which signs everything published. */
import { createAccount } from '@nats-io/nkeys';
import { WeftError } from './errors.ts';
import { publicNkeyOf, seedBytes } from './nkey.ts';

const SEED = /^SA[A-Z2-7]{56}$/;

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
  const publicKey = publicNkeyOf('account', seed);
  if (publicKey === undefined) {
    throw new WeftError('internal', 'mesh root: the NKey account seed does not match its checksum');
  }
  return Object.freeze({ publicKey, secret: seedBytes(seed) });
}
