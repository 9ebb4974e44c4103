/** How a join token travels from the controller to the operator who asked for it: over a bus that anybody may read. */
import type { KeyObject } from 'node:crypto';
import nacl from 'tweetnacl';
import { openSealed, sealTo } from './enrolment.ts';
import { WeftError } from './errors.ts';
import { bytesOfBase64, openDocument, type RootKeys, signDocument } from './signed-document.ts';

/** What a token is, without where its mesh is. */
export interface MadeToken {
  readonly id: string;
  readonly secret: string;
  readonly expiresMs: number;
}

const ANSWER_BYTES_MAX = 8 * 1024;
const KEY_BYTES = 32;

/** @param boxKey X25519 of the operator's call, base64url @param key the root's */
export function sealToken(key: KeyObject, mesh: string, boxKey: string, token: MadeToken): string {
  const own = nacl.box.keyPair();
  const sealed = sealTo(Buffer.from(boxKey, 'base64url'), own.secretKey)(Buffer.from(JSON.stringify(token)));
  const sealedBy = Buffer.from(own.publicKey).toString('base64url');
  return signDocument(key, 'weft-token', { mesh, sealTo: boxKey, sealedBy, sealed });
}

/**
 * The token of an answer to one's own call.
 * @param keys the pair that was made for the call
 * @throws WeftError `denied` if the root has not signed it, or it answers another call
 */
export function openToken(roots: RootKeys, mesh: string, keys: nacl.BoxKeyPair, text: string): MadeToken {
  const answer = openDocument(roots, 'weft-token', text, ANSWER_BYTES_MAX);
  const { sealTo: to, sealedBy, sealed } = answer;
  const own = Buffer.from(keys.publicKey).toString('base64url');
  const sound =
    answer.mesh === mesh &&
    to === own &&
    typeof sealed === 'string' &&
    typeof sealedBy === 'string' &&
    bytesOfBase64(sealedBy, KEY_BYTES) !== undefined;
  const opened = sound ? openSealed(sealed, sealedBy, keys.secretKey) : undefined;
  if (opened === undefined) throw new WeftError('denied', 'join token: the controller answered another call');
  return JSON.parse(Buffer.from(opened).toString()) as MadeToken;
}
