/**
 * What one party of the mesh states and others rely on, as a compact JWS (RFC 7515) with EdDSA (RFC 8037). The type
 * stands in the signed header, so that a statement of one kind is never taken for one of another kind.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import { WeftError } from './errors.ts';
import { ed25519PrivateKey } from './nkey.ts';
import type { Root } from './root.ts';
import type { PublicationKind } from './subjects.ts';

export type DocumentType =
  | 'weft-identity'
  /** The key of one process, signed by its agent: `introduction.ts`. */
  | 'weft-session'
  /** Roots, revocations: `trust-list.ts`. */
  | 'weft-trust'
  /** A new agent asks for an identity, an agent asks for another one, and the answer: `enrolment.ts`. */
  | 'weft-join'
  | 'weft-renewal'
  | 'weft-grant'
  /** The compiled configuration of a service: `snapshot.ts`. */
  | 'weft-snapshot'
  /** Who serves a service now: `endpoint-list.ts`. */
  | 'weft-endpoints'
  /** What an agent says of itself: `heartbeat.ts`. */
  | 'weft-heartbeat'
  /** One revision of a resource, and a change set that is being carried out, as controllers keep them. */
  | 'weft-record'
  | 'weft-journal'
  /** How far a store of the controllers had come: publications carry it, and agents tell it. */
  | 'weft-head'
  /** A call of an operator to the controller, and what says who that is: `api-call.ts`, `operator.ts`. */
  | 'weft-call'
  | 'weft-operator'
  /** That an answer to such a call is the controller's: `answer-proof.ts`. */
  | 'weft-answer'
  /** What was changed, by whom: `audit-entry.ts`. */
  | 'weft-audit';

/** What a publication is signed as. */
export function publicationType(kind: PublicationKind): PublicationType {
  return PUBLICATION_TYPES[kind];
}

export type PublicationType = 'weft-snapshot' | 'weft-endpoints' | 'weft-trust';
const PUBLICATION_TYPES: Readonly<Record<PublicationKind, PublicationType>> = Object.freeze({
  snapshot: 'weft-snapshot',
  endpoints: 'weft-endpoints',
  trust: 'weft-trust',
});

/** What documents are checked with: one key, or the roots of a mesh, of which any one may have signed. */
export type RootKeys = KeyObject | readonly KeyObject[];

const SIGNATURE_BYTES = 64;
const BY_AGENTS: ReadonlySet<DocumentType> = new Set([
  'weft-session',
  'weft-heartbeat',
  'weft-join',
  'weft-renewal',
]);

/** The root's private key, to sign with. */
export function signingKey(root: Root): KeyObject {
  return ed25519PrivateKey(root.secret);
}

/** Signs `payload` as JSON (some 40 µs). */
export function signDocument(key: KeyObject, type: DocumentType, payload: unknown): string {
  const signed = `${headerOf(type)}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
  return `${signed}.${sign(null, Buffer.from(signed, 'latin1'), key).toString('base64url')}`;
}

/**
 * The payload of a document that one of `keys` has signed (some 120 µs). The signature is checked before anything is parsed.
 * @throws WeftError `denied` if it is of another type, longer than `bytesMax`, not signed with such a key, or no JSON object
 */
export function openDocument(
  keys: RootKeys,
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
  if (signature === undefined || !isSigned(signed, keys, signature)) {
    throw denied(type, `not signed by ${signerOf(type)}`);
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

function signerOf(type: DocumentType): string {
  if (type === 'weft-call')
    return 'the root of this mesh, nor by the operator whose document goes before it: is --root, or --operator, of this mesh?';
  return BY_AGENTS.has(type) ? 'its agent' : 'the root of this mesh';
}

/** What a document says before anybody has checked who says it; nothing if it is none. */
export function unprovenClaims(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString()));
  } catch {
    return {};
  }
}

function isSigned(signed: Buffer, keys: RootKeys, signature: Buffer): boolean {
  if (!('length' in keys)) return verify(null, signed, keys, signature);
  return keys.some((key) => verify(null, signed, key, signature));
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
