/**
 * What one party of the mesh states and others rely on, as a compact JWS (RFC 7515) with EdDSA (RFC 8037). The type
 * stands in the signed header, so that a statement of one kind is never taken for one of another kind.
 */
import { createPrivateKey, type KeyObject, sign, verify } from 'node:crypto';
import { WeftError } from './errors.ts';
import type { Root } from './root.ts';
import type { PublicationKind } from './subjects.ts';

export type DocumentType =
  | 'weft-identity'
  /** The compiled configuration of a service: `snapshot.ts`. */
  | 'weft-snapshot'
  /** Who serves a service now: `endpoint-list.ts`. */
  | 'weft-endpoints'
  /** What an agent says of itself: `heartbeat.ts`. */
  | 'weft-heartbeat'
  /** One revision of a resource, and a change set that is being carried out, as controllers keep them. */
  | 'weft-record'
  | 'weft-journal'
  /** A call of an operator to the controller: `api-call.ts`. */
  | 'weft-call';

/** What a publication is signed as. */
export function publicationType(kind: PublicationKind): 'weft-snapshot' | 'weft-endpoints' {
  return kind === 'snapshot' ? 'weft-snapshot' : 'weft-endpoints';
}

const SIGNATURE_BYTES = 64;
/** PKCS #8 of a raw Ed25519 seed (RFC 8410 §7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The root's private key, to sign with. */
export function signingKey(root: Root): KeyObject {
  const der = Buffer.concat([ED25519_PKCS8, root.secret]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** Signs `payload` as JSON (some 40 µs). */
export function signDocument(key: KeyObject, type: DocumentType, payload: unknown): string {
  const signed = `${headerOf(type)}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
  return `${signed}.${sign(null, Buffer.from(signed, 'latin1'), key).toString('base64url')}`;
}

/**
 * The payload of a document that `key` has signed (some 120 µs). The signature is checked before anything is parsed.
 * @throws WeftError `denied` if it is of another type, longer than `bytesMax`, not signed with that key, or no JSON object
 */
export function openDocument(
  key: KeyObject,
  type: DocumentType,
  text: string,
  bytesMax: number,
): Readonly<Record<string, unknown>> {
  if (text.length > bytesMax) throw denied(type, `over ${bytesMax} bytes`);
  const [header, payload, signatureText, extra] = text.split('.', 4);
  // There is one header for each type: no algorithm is ever taken from the bus.
  if (header !== headerOf(type) || payload === undefined || extra !== undefined) {
    throw denied(type, 'not one of ours');
  }
  const signature = bytesOfBase64(signatureText, SIGNATURE_BYTES);
  const signed = Buffer.from(`${header}.${payload}`, 'latin1');
  if (signature === undefined || !verify(null, signed, key, signature)) {
    throw denied(type, 'not signed by the root of this mesh');
  }
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  } catch (cause) {
    throw new WeftError('denied', `${type} document: not JSON`, { cause });
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    throw denied(type, 'not an object');
  }
  return claims as Record<string, unknown>;
}

/** Bytes of canonical base64url of exactly that length: Node itself skips what is not base64. */
export function bytesOfBase64(text: string | undefined, length: number): Buffer | undefined {
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === length && bytes.toString('base64url') === text ? bytes : undefined;
}

const HEADERS = new Map<DocumentType, string>();

/** How a document of that type begins, up to its first dot. */
export function headerOf(type: DocumentType): string {
  let header = HEADERS.get(type);
  if (header === undefined) {
    header = Buffer.from(JSON.stringify({ alg: 'EdDSA', typ: type })).toString('base64url');
    HEADERS.set(type, header);
  }
  return header;
}

function denied(type: DocumentType, what: string): WeftError {
  return new WeftError('denied', `${type.replace('weft-', '')} document: ${what}`);
}
