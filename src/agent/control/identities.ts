import { BoundedMap } from '../../protocol/bounded-map.ts';
import { INTRODUCTION_BYTES_MAX } from '../../protocol/identity.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';

/** Whose an identity document is; undefined if the root did not sign it or it does not hold now. */
export interface Identify {
  (document: string): PeerIdentity | undefined;
  /** Who is trusted has changed: every document is verified again. */
  forget(): void;
}

/**
 * Verifies each document once (150 µs), and gives the same object for the same document: lanes are kept by it.
 * An agent's document stands in the endpoint list of every service that it serves.
 */
export function createIdentify(keyring: Keyring, wallMs: () => number): Identify {
  let known = new BoundedMap<string, PeerIdentity | null>(LIMITS.peersMax);
  const identify = (document: string) => {
    // None is as long, and what is refused is remembered too.
    if (document.length > INTRODUCTION_BYTES_MAX) return undefined;
    let identity = known.get(document);
    if (identity === undefined) {
      identity = verified(keyring, document);
      known.set(document, identity);
    }
    return identity === null || identity.expiresAtMs <= wallMs() ? undefined : identity;
  };
  const forget = () => {
    known = new BoundedMap(LIMITS.peersMax);
  };
  return Object.assign(identify, { forget });
}

function verified(keyring: Keyring, document: string): PeerIdentity | null {
  try {
    return keyring.verify(document);
  } catch {
    return null;
  }
}
