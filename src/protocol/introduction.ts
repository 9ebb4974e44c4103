/**
 * How a process of an agent introduces itself, in packets, heartbeats and endpoint lists: the agent's identity document,
 * signed by the root, and the X25519 key of this very process, signed by the agent.
 *
 *     <identity document>~<session statement>
 *
 * A process makes its key at its start and forgets it at its end: what was sealed to it can never be opened again, by
 * its successor neither, and the controller is not needed for that.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { WeftError } from './errors.ts';
import {
  checkIdentity,
  type Identity,
  INTRODUCTION_BYTES_MAX,
  SESSION_STATEMENT_BYTES_MAX,
} from './identity.ts';
import { verificationKey } from './nkey.ts';
import { bytesOfBase64, openDocument, type RootKeys, signDocument } from './signed-document.ts';

/** A process of an agent, as the others know it. */
export interface PeerIdentity {
  readonly agent: string;
  /** Public NKey of the root that its identity says it is of. */
  readonly issuer: string;
  /** X25519, of the process. */
  readonly publicKey: KeyObject;
  /** Ed25519, of the agent: it signs what the agent states of itself. */
  readonly signingKey: KeyObject;
  /** Services it may speak and serve for, "orders.default". */
  readonly workloads: ReadonlySet<string>;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

const KEY_BYTES = 32;

/** What an agent says of the key of its process. @param agentKey its Ed25519 private key @param publicKey X25519 */
export function stateSession(agentKey: KeyObject, agent: string, publicKey: KeyObject): string {
  return signDocument(agentKey, 'weft-session', { agent, x25519: publicKey.export({ format: 'jwk' }).x });
}

export function introduction(identityDocument: string, sessionStatement: string): string {
  return `${identityDocument}~${sessionStatement}`;
}

/**
 * Reads an introduction (some 300 µs: cache by its text, in which there is nothing but what was signed).
 * @throws WeftError `denied` if no root signed the identity, or that agent not the key, or it does not hold now, or there is more
 */
export function readIntroduction(roots: RootKeys, mesh: string, text: string, nowMs: number): PeerIdentity {
  if (text.length > INTRODUCTION_BYTES_MAX) {
    throw new WeftError('denied', `introduction: over ${INTRODUCTION_BYTES_MAX} bytes`);
  }
  const [document = '', statement = '', more] = text.split('~', 3);
  if (more !== undefined) {
    throw new WeftError('denied', 'introduction: more than an identity and a session statement');
  }
  const identity = checkIdentity(roots, mesh, document, nowMs);
  return peerOf(identity, statement);
}

/** @throws WeftError `denied` if the agent has not signed it */
function peerOf(identity: Identity, statement: string): PeerIdentity {
  const { agent, issuer, workloads, issuedAtMs, expiresAtMs } = identity;
  const signingKey = verificationKey(identity.signingKey);
  const said = openDocument(signingKey, 'weft-session', statement, SESSION_STATEMENT_BYTES_MAX);
  const x = typeof said.x25519 === 'string' ? bytesOfBase64(said.x25519, KEY_BYTES) : undefined;
  if (said.agent !== agent || x === undefined) {
    throw new WeftError('denied', `session key of ${agent}: of another agent, or not ${KEY_BYTES} bytes`);
  }
  const jwk = { kty: 'OKP', crv: 'X25519', x: said.x25519 as string };
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
  return Object.freeze({ agent, issuer, publicKey, signingKey, workloads, issuedAtMs, expiresAtMs });
}

/** Tells the processes of one agent apart, for subjects: 16 hex digits of the SHA-256 of a public key. */
export function keyFingerprint(publicKey: KeyObject): string {
  const bytes = publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
