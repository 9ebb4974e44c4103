/**
 * Identity documents: what the mesh root says about an agent, as a compact JWS (RFC 7515) with EdDSA (RFC 8037).
 * The agent's X25519 key, the workloads it may speak and serve for, and until when.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import nacl from 'tweetnacl';
import { WeftError } from './errors.ts';
import type { PeerIdentity } from './keyring.ts';
import { LIMITS } from './limits.ts';
import { agentId, agentOfId, serviceOfWorkloadId, workloadId } from './names.ts';
import { publicKeyBytes, type Root } from './root.ts';
import { bytesOfBase64, openDocument } from './signed-document.ts';

/** Documents travel in packet headers; beside one, a header and its tag take at most 236 bytes. */
export const DOCUMENT_BYTES_MAX = LIMITS.packetHeaderBytesMax - 256;
const SIGNATURE_BYTES = 64;
/** Of X25519 keys. */
const KEY_BYTES = 32;
/** Of a public NKey. */
const ROOT_KEY_CHARACTERS = 56;
/** As long as any time until the year 2286 is. */
const SECONDS_LONGEST = 9_999_999_999;

/** There is one form of document, so its header is one text: no algorithm is ever taken from the bus. */
const HEADER = Buffer.from('{"alg":"EdDSA","typ":"weft-identity"}').toString('base64url');

/** Makes and signs an identity document (5 ms). Times are in ms, the document has whole seconds. */
export function issueIdentity(root: Root, mesh: string, identity: PeerIdentity, issuedAtMs: number): string {
  const claims = {
    iss: root.publicKey,
    sub: agentId(mesh, identity.agent),
    iat: Math.floor(issuedAtMs / 1000),
    exp: Math.floor(identity.expiresAtMs / 1000),
    x25519: identity.publicKey.export({ format: 'jwk' }).x,
    workloads: [...identity.workloads].map((service) => workloadId(mesh, service)),
  };
  const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const { secretKey } = nacl.sign.keyPair.fromSeed(root.secret);
  const signature = nacl.sign.detached(Buffer.from(signed, 'latin1'), secretKey);
  const document = `${signed}.${Buffer.from(signature).toString('base64url')}`;
  if (document.length > DOCUMENT_BYTES_MAX) {
    throw new WeftError(
      'internal',
      `identity of ${identity.agent}: over ${DOCUMENT_BYTES_MAX} bytes, too many workloads`,
    );
  }
  return document;
}

/** How many bytes longer than it may be the document of an agent with these workloads would be; 0 if it fits. */
export function documentExcess(mesh: string, agent: string, workloads: readonly string[]): number {
  const claims = {
    iss: 'A'.repeat(ROOT_KEY_CHARACTERS),
    sub: agentId(mesh, agent),
    iat: SECONDS_LONGEST,
    exp: SECONDS_LONGEST,
    x25519: Buffer.alloc(KEY_BYTES).toString('base64url'),
    workloads: workloads.map((service) => workloadId(mesh, service)),
  };
  const payload = Buffer.byteLength(JSON.stringify(claims));
  const length = HEADER.length + 1 + base64Length(payload) + 1 + base64Length(SIGNATURE_BYTES);
  return Math.max(0, length - DOCUMENT_BYTES_MAX);
}

const base64Length = (bytes: number): number => Math.ceil((bytes * 4) / 3);

/** The key that `checkIdentity` needs, from a root's public NKey. */
export function verificationKey(rootPublicKey: string): KeyObject {
  const x = Buffer.from(publicKeyBytes(rootPublicKey)).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/**
 * Reads a document from the bus (some 150 µs: cache by its text until it expires).
 * @throws WeftError `denied` if the root did not sign it, it is for another mesh, not valid now, or malformed
 */
export function checkIdentity(
  rootKey: KeyObject,
  mesh: string,
  document: string,
  nowMs: number,
): PeerIdentity {
  const claims = openDocument(rootKey, 'weft-identity', document, DOCUMENT_BYTES_MAX);
  const { sub, iat, exp, x25519, workloads } = claims;
  const agent = typeof sub === 'string' ? agentOfId(mesh, sub) : undefined;
  if (agent === undefined) throw denied('it is for no agent of this mesh');
  if (!isSeconds(iat) || !isSeconds(exp)) throw denied('iat and exp must be seconds');
  if (iat * 1000 > nowMs + LIMITS.identitySkewMs) throw denied(`${agent}: not valid yet`);
  if (exp * 1000 <= nowMs) throw denied(`${agent}: expired`);
  if (!Array.isArray(workloads)) throw denied(`${agent}: workloads must be a list`);
  return Object.freeze({
    agent,
    publicKey: x25519Key(x25519, agent),
    workloads: new Set(workloads.map((id) => serviceOf(mesh, id, agent))),
    expiresAtMs: exp * 1000,
  });
}

function x25519Key(value: unknown, agent: string): KeyObject {
  const x = typeof value === 'string' && bytesOfBase64(value, KEY_BYTES) !== undefined ? value : undefined;
  if (x === undefined) throw denied(`${agent}: x25519 must be ${KEY_BYTES} bytes in base64url`);
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
}

function serviceOf(mesh: string, id: unknown, agent: string): string {
  const service = typeof id === 'string' ? serviceOfWorkloadId(mesh, id) : undefined;
  if (service === undefined) throw denied(`${agent}: a workload is not a SPIFFE ID of this mesh`);
  return service;
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function denied(what: string): WeftError {
  return new WeftError('denied', `identity document: ${what}`);
}

/** Tells the processes of one agent apart, for subjects: 16 hex digits of the SHA-256 of a public key. */
export function keyFingerprint(publicKey: KeyObject): string {
  const bytes = publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
