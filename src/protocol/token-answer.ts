/** How a join token travels from the controller to the operator who asked for it: over a bus that anybody may read. */
import nacl from 'tweetnacl';
import { openSealed, sealTo } from './enrolment.ts';
import { WeftError } from './errors.ts';
import { bytesOfBase64 } from './signed-document.ts';

/** What a token is, without where its mesh is. */
export interface MadeToken {
  readonly id: string;
  readonly secret: string;
  readonly expiresMs: number;
}

const KEY_BYTES = 32;

/** `<public key that seals>.<sealed token>`. @param boxKey X25519 of the operator's call, base64url */
export function sealToken(boxKey: string, token: MadeToken): string {
  const own = nacl.box.keyPair();
  const sealed = sealTo(Buffer.from(boxKey, 'base64url'), own.secretKey)(Buffer.from(JSON.stringify(token)));
  return `${Buffer.from(own.publicKey).toString('base64url')}.${sealed}`;
}

/**
 * The token of an answer to one's own call, of which it is known who has given it.
 * @param keys the pair that was made for the call
 * @throws WeftError `denied` if it was not sealed to them
 */
export function openToken(keys: nacl.BoxKeyPair, text: string): MadeToken {
  const [by = '', sealed = ''] = text.split('.', 2);
  const sound = bytesOfBase64(by, KEY_BYTES) !== undefined;
  const opened = sound ? openSealed(sealed, by, keys.secretKey) : undefined;
  if (opened === undefined)
    throw new WeftError('denied', 'join token: what the controller has sent is not sealed to this call');
  return JSON.parse(Buffer.from(opened).toString()) as MadeToken;
}
