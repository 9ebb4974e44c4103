/**
 * The roots of a mesh. There is one; while another one takes its place there are two, and what either has signed holds:
 * first the present one signs and the next is made known, then the next signs and the former still holds.
 */
import type { KeyObject } from 'node:crypto';
import { verificationKey } from '../protocol/nkey.ts';
import type { Root } from '../protocol/root.ts';
import { signingKey } from '../protocol/signed-document.ts';

export type Roots = ReturnType<typeof createRoots>;

/** @param present signs @param other the next, or the former one */
export function createRoots(present: Root, other?: Root) {
  const all = other === undefined ? [present] : [present, other];
  return Object.freeze({
    present,
    /** Signs what is new. */
    signingKey: signingKey(present),
    /** Of all of them: what each signs that is read by who may know one of them only. */
    signingKeys: all.map(signingKey),
    /** What the present one has signed. */
    presentKey: verificationKey(present.publicKey),
    /** Public NKeys; the present one is the first. */
    publicKeys: all.map(({ publicKey }) => publicKey),
    /** What any of them has signed. */
    keys: all.map(({ publicKey }): KeyObject => verificationKey(publicKey)),
    /** Undefined if it is none of them. */
    of: (publicKey: string): Root | undefined => all.find((root) => root.publicKey === publicKey),
  });
}
