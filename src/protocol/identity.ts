/**
 * Identity documents: what the mesh root says about an agent, as a compact JWS (RFC 7515) with EdDSA (RFC 8037).
 * The agent's keys, the workloads it may speak and serve for, and from when until when.
 */
import { WeftError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { agentId, agentOfId, serviceOfWorkloadId, workloadId } from './names.ts';
import { isPublicNkey } from './nkey.ts';
import type { Root } from './root.ts';
import {
  bytesOfBase64,
  headerOf,
  openDocument,
  type RootKeys,
  signDocument,
  signingKey,
} from './signed-document.ts';

export interface Identity {
  readonly agent: string;
  /** Public NKey of the root that it says it is of. */
  readonly issuer: string;
  /** Its Ed25519 key, a public NKey (`U…`): it signs what the agent states, and is its NATS user. */
  readonly signingKey: string;
  /** Its X25519 key, raw: what the controller sends to this agent alone is sealed to it. */
  readonly boxKey: Uint8Array;
  /** Services it may speak and serve for, "orders.default". */
  readonly workloads: ReadonlySet<string>;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Introductions travel in packet headers; beside one, a header and its tag take at most 236 bytes. */
export const INTRODUCTION_BYTES_MAX = LIMITS.packetHeaderBytesMax - 256;
/** What a session key takes beside the identity document: see `introduction.ts`. */
export const SESSION_STATEMENT_BYTES_MAX = 512;
export const IDENTITY_BYTES_MAX = INTRODUCTION_BYTES_MAX - SESSION_STATEMENT_BYTES_MAX - 1;
const SIGNATURE_BYTES = 64;
/** Of X25519 keys. */
const KEY_BYTES = 32;
/** Of a public NKey. */
const NKEY_CHARACTERS = 56;
/** As long as any time until the year 2286 is. */
const SECONDS_LONGEST = 9_999_999_999;

const HEADER = headerOf('weft-identity');

/**
 * Makes and signs an identity document. Times are in ms, the document has whole seconds.
 * @throws WeftError `internal` if it would not fit the header of a packet
 */
export function issueIdentity(root: Root, mesh: string, identity: Omit<Identity, 'issuer'>): string {
  const claims = {
    iss: root.publicKey,
    sub: agentId(mesh, identity.agent),
    iat: Math.floor(identity.issuedAtMs / 1000),
    exp: Math.floor(identity.expiresAtMs / 1000),
    key: identity.signingKey,
    x25519: Buffer.from(identity.boxKey).toString('base64url'),
    workloads: [...identity.workloads].map((service) => workloadId(mesh, service)),
  };
  const document = signDocument(signingKey(root), 'weft-identity', claims);
  if (document.length > IDENTITY_BYTES_MAX) {
    throw new WeftError(
      'internal',
      `identity of ${identity.agent}: over ${IDENTITY_BYTES_MAX} bytes, too many workloads`,
    );
  }
  return document;
}

/** How many bytes longer than it may be the document of an agent with these workloads would be; 0 if it fits. */
export function documentExcess(mesh: string, agent: string, workloads: readonly string[]): number {
  const claims = {
    iss: 'A'.repeat(NKEY_CHARACTERS),
    sub: agentId(mesh, agent),
    iat: SECONDS_LONGEST,
    exp: SECONDS_LONGEST,
    key: 'U'.repeat(NKEY_CHARACTERS),
    x25519: Buffer.alloc(KEY_BYTES).toString('base64url'),
    workloads: workloads.map((service) => workloadId(mesh, service)),
  };
  const payload = Buffer.byteLength(JSON.stringify(claims));
  const length = HEADER.length + 1 + base64Length(payload) + 1 + base64Length(SIGNATURE_BYTES);
  return Math.max(0, length - IDENTITY_BYTES_MAX);
}

const base64Length = (bytes: number): number => Math.ceil((bytes * 4) / 3);

/**
 * Reads an identity document (some 150 µs: cache by its text until it expires).
 * @throws WeftError `denied` if no root of the mesh signed it, it is for another mesh, not valid now, or malformed
 */
export function checkIdentity(roots: RootKeys, mesh: string, document: string, nowMs: number): Identity {
  const claims = openDocument(roots, 'weft-identity', document, IDENTITY_BYTES_MAX);
  const { iss, sub, iat, exp, key, x25519, workloads } = claims;
  const agent = typeof sub === 'string' ? agentOfId(mesh, sub) : undefined;
  if (agent === undefined) throw denied('it is for no agent of this mesh');
  if (!isSeconds(iat) || !isSeconds(exp)) throw denied('iat and exp must be seconds');
  if (iat * 1000 > nowMs + LIMITS.identitySkewMs) {
    throw denied(`${agent}: not valid yet; is the clock of this host right?`);
  }
  if (exp * 1000 <= nowMs) throw denied(`${agent}: expired at ${new Date(exp * 1000).toISOString()}`);
  if (!isPublicNkey('user', key)) throw denied(`${agent}: key must be a public user NKey (U…)`);
  const boxKey = typeof x25519 === 'string' ? bytesOfBase64(x25519, KEY_BYTES) : undefined;
  if (boxKey === undefined) throw denied(`${agent}: x25519 must be ${KEY_BYTES} bytes in base64url`);
  if (!Array.isArray(workloads)) throw denied(`${agent}: workloads must be a list`);
  return Object.freeze({
    agent,
    issuer: isPublicNkey('account', iss) ? iss : '',
    signingKey: key,
    boxKey,
    workloads: new Set(workloads.map((id) => serviceOf(mesh, id, agent))),
    issuedAtMs: iat * 1000,
    expiresAtMs: exp * 1000,
  });
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
