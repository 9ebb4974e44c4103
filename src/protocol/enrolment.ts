/**
 * How an agent gets its identity, and all that follows from it: the join token, the request that proves it, the
 * renewal that an enrolled agent asks for, and the grant that answers both. Carried by the verbs `join` and `renew`.
 *
 * E1  A grant says the nonce of its request: an old one answers nothing.
 * E2  Keys are proven: a join is signed with the new keys, a renewal with the old ones and, if it brings new ones, with these.
 * E3  What the grant seals can be opened with the agent's X25519 key alone.
 */
import { createHmac, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import nacl from 'tweetnacl';
import type { AgentKeys } from './agent-keys.ts';
import { WeftError } from './errors.ts';
import { agentOfId, isLabel, isServiceName } from './names.ts';
import { isPublicNkey, verificationKey } from './nkey.ts';
import { isRevision, type Revision } from './revision.ts';
import type { Root } from './root.ts';
import {
  bytesOfBase64,
  openDocument,
  type RootKeys,
  signDocument,
  unprovenClaims,
} from './signed-document.ts';

/** What the one who enrols a host hands over to it. The text is secret until it has been used. */
export interface JoinToken {
  readonly mesh: string;
  readonly host: string;
  /** Public NKey of the root (`A…`): what the agent pins. */
  readonly root: string;
  /** 32 hex digits. */
  readonly id: string;
  /** 32 bytes, base64url. */
  readonly secret: string;
  /** Where NATS is. */
  readonly nats: readonly string[];
  /** Seed of the NATS user (`SU…`) that may ask to join and nothing else, if NATS asks for one. */
  readonly natsSeed?: string;
}

/** What a host asks for with a token. */
export interface JoinRequest {
  readonly mesh: string;
  readonly host: string;
  readonly token: string;
  /** Of the keys that it has made: Ed25519 (`U…`) and X25519 (base64url). */
  readonly key: string;
  readonly x25519: string;
  readonly nonce: string;
  readonly timeMs: number;
}

/** What an enrolled agent asks for: its identity anew, the keys of what it serves, and what is published now. */
export interface RenewalRequest {
  readonly mesh: string;
  readonly agent: string;
  readonly nonce: string;
  readonly timeMs: number;
  /** Services of which it wants to know the present revisions. */
  readonly services: readonly string[];
  /** Keys that are to take the place of its own, and their signature over the nonce. */
  readonly next?: { readonly key: string; readonly x25519: string; readonly proof: string };
}

/** A service's private key, sealed to one agent (`nacl.box`). */
export interface SealedServiceKey {
  readonly service: string;
  readonly epoch: number;
  /** base64url: nonce ‖ box. */
  readonly sealed: string;
}

export interface Grant {
  readonly mesh: string;
  readonly agent: string;
  readonly nonce: string;
  /** The controller's clock when it answered. */
  readonly timeMs: number;
  /** The identity document as it is from now on. */
  readonly identity: string;
  /** X25519 of the sealing side, base64url. */
  readonly sealedBy: string;
  readonly keys: readonly SealedServiceKey[];
  /** The trust list as it is published now. */
  readonly trust: string;
  /** Revisions below which the publications of these services are old: `snapshot.orders.default`. */
  readonly revisions: Readonly<Record<string, Revision>>;
}

const TOKEN_PREFIX = 'weft1.';
const TOKEN_CHARACTERS_MAX = 4_096;
const SECRET_BYTES = 32;
const REQUEST_BYTES_MAX = 256 * 1024;
const GRANT_BYTES_MAX = 1024 * 1024;
const SERVICES_MAX = 4_096;
const HEX_32 = /^[0-9a-f]{32}$/;
const SERVER = /^(?:nats|tls):\/\/[^\s/@]+$/;

/** The secret of a token follows from the root and its number: no controller keeps it. */
export function tokenSecret(root: Root, id: string): string {
  return Buffer.from(hkdfSync('sha256', root.secret, 'weft join token 1', id, SECRET_BYTES)).toString(
    'base64url',
  );
}

export function joinTokenText(token: JoinToken): string {
  return `${TOKEN_PREFIX}${Buffer.from(JSON.stringify(token)).toString('base64url')}`;
}

/** @throws WeftError `denied` if it is no whole token; the message does not repeat it */
export function readJoinToken(text: string): JoinToken {
  const trimmed = text.trim();
  let token: Partial<JoinToken> | null = null;
  if (trimmed.startsWith(TOKEN_PREFIX) && trimmed.length <= TOKEN_CHARACTERS_MAX) {
    try {
      token = JSON.parse(Buffer.from(trimmed.slice(TOKEN_PREFIX.length), 'base64url').toString());
    } catch {
      // Said below.
    }
  }
  const sound =
    typeof token?.mesh === 'string' &&
    isLabel(token.mesh) &&
    typeof token.host === 'string' &&
    isLabel(token.host) &&
    isPublicNkey('account', token.root) &&
    isHex(token.id) &&
    typeof token.secret === 'string' &&
    bytesOfBase64(token.secret, SECRET_BYTES) !== undefined &&
    Array.isArray(token.nats) &&
    token.nats.length >= 1 &&
    token.nats.every((server) => typeof server === 'string' && SERVER.test(server)) &&
    (token.natsSeed === undefined || typeof token.natsSeed === 'string');
  if (!sound)
    throw new WeftError('denied', 'join token: expected the whole text that `weft token create` printed');
  return token as JoinToken;
}

/** The message of the verb `join`. */
export function signJoin(keys: AgentKeys, secret: string, request: JoinRequest): string {
  const statement = signDocument(keys.signingKey, 'weft-join', request);
  return `${request.token}~${macOf(secret, statement)}~${statement}`;
}

/** The number of the token that a join message is about; it is not proven yet. @throws WeftError `denied` */
export function tokenOfJoin(message: string): string {
  const id = message.slice(0, Math.max(0, message.indexOf('~')));
  if (!isHex(id)) throw denied('join', 'it names no token');
  return id;
}

/**
 * A join message that proves the token whose secret is given, and the keys that it names.
 * @throws WeftError `denied`
 */
export function openJoin(message: string, secret: string, mesh: string): JoinRequest {
  if (message.length > REQUEST_BYTES_MAX) throw denied('join', `over ${REQUEST_BYTES_MAX} bytes`);
  const [id = '', mac = '', statement = ''] = message.split('~', 3);
  const given = bytesOfBase64(mac, SECRET_BYTES);
  const right = bytesOfBase64(macOf(secret, statement), SECRET_BYTES) as Buffer;
  if (given === undefined || !timingSafeEqual(given, right))
    throw denied('join', 'it does not prove its token');
  const key = claimedKey(statement);
  const request = openDocument(key, 'weft-join', statement, REQUEST_BYTES_MAX) as Partial<JoinRequest>;
  const sound =
    request.mesh === mesh &&
    request.token === id &&
    typeof request.host === 'string' &&
    isLabel(request.host) &&
    isX25519(request.x25519) &&
    isHex(request.nonce) &&
    Number.isFinite(request.timeMs);
  if (!sound) throw denied('join', 'malformed, or of another mesh or token');
  return request as JoinRequest;
}

/** The message of the verb `renew`. @param identity the document that the agent has now */
export function signRenewal(keys: AgentKeys, identity: string, request: RenewalRequest): string {
  return `${identity}~${signDocument(keys.signingKey, 'weft-renewal', request)}`;
}

/** The identity document that a renewal comes with, which may have expired. */
function identityOfRenewal(message: string): string {
  return message.slice(0, Math.max(0, message.indexOf('~')));
}

/** The agent that a renewal says it is of; nothing is proven yet. @throws WeftError `denied` */
export function agentOfRenewal(message: string, mesh: string): string {
  const { sub } = unprovenClaims(identityOfRenewal(message));
  const agent = typeof sub === 'string' ? agentOfId(mesh, sub) : undefined;
  if (agent === undefined) throw denied('renewal', 'it comes with no identity of this mesh');
  return agent;
}

/** @param signingKey of the identity that it comes with, which has been checked. @throws WeftError `denied` */
export function openRenewal(
  message: string,
  signingKey: string,
  mesh: string,
  agent: string,
): RenewalRequest {
  const statement = message.slice(message.indexOf('~') + 1);
  const key = verificationKey(signingKey);
  const request = openDocument(key, 'weft-renewal', statement, REQUEST_BYTES_MAX) as Partial<RenewalRequest>;
  const sound =
    request.mesh === mesh &&
    request.agent === agent &&
    isHex(request.nonce) &&
    Number.isFinite(request.timeMs) &&
    Array.isArray(request.services) &&
    request.services.length <= SERVICES_MAX &&
    request.services.every((service) => typeof service === 'string' && isServiceName(service)) &&
    (request.next === undefined || isNext(request.next, request.nonce));
  if (!sound) throw denied('renewal', 'malformed, or of another mesh or agent');
  return request as RenewalRequest;
}

/** What new keys say of the renewal that is to make them an agent's (E2). */
export function proofOfNext(keys: AgentKeys, agent: string, nonce: string): string {
  return signDocument(keys.signingKey, 'weft-renewal', { agent, nonce });
}

/** @throws WeftError `denied` if no root signed it, or it does not answer that request of that agent */
export function openGrant(roots: RootKeys, mesh: string, agent: string, nonce: string, text: string): Grant {
  const grant = openDocument(roots, 'weft-grant', text, GRANT_BYTES_MAX) as Partial<Grant>;
  if (grant.mesh !== mesh || grant.agent !== agent || grant.nonce !== nonce) {
    throw denied('grant', 'it answers another request');
  }
  const sound =
    typeof grant.identity === 'string' &&
    typeof grant.trust === 'string' &&
    Number.isFinite(grant.timeMs) &&
    isX25519(grant.sealedBy) &&
    Array.isArray(grant.keys) &&
    grant.keys.every(isSealedKey) &&
    typeof grant.revisions === 'object' &&
    grant.revisions !== null &&
    Object.values(grant.revisions).every(isRevision);
  if (!sound) throw denied('grant', 'malformed');
  return grant as Grant;
}

/** What seals to one side (2 ms; the result seals any number). @param boxKey of that side @param own X25519 of who seals */
export function sealTo(boxKey: Uint8Array, own: Uint8Array): (secret: Uint8Array) => string {
  const shared = nacl.box.before(boxKey, own);
  return (secret) => {
    const nonce = nacl.randomBytes(nacl.box.nonceLength);
    return Buffer.concat([nonce, nacl.box.after(secret, nonce, shared)]).toString('base64url');
  };
}

/** What `sealTo` has sealed to the holder of `own`; undefined if it was not. @param by public key of who sealed, base64url */
export function openSealed(sealed: string, by: string, own: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(sealed, 'base64url');
  const nonce = bytes.subarray(0, nacl.box.nonceLength);
  const box = bytes.subarray(nacl.box.nonceLength);
  if (nonce.length !== nacl.box.nonceLength) return undefined;
  return nacl.box.open(box, nonce, Buffer.from(by, 'base64url'), own) ?? undefined;
}

/** @throws WeftError `denied` if it was not sealed to this agent by that side */
export function openServiceKey(sealed: string, sealedBy: string, keys: AgentKeys): Uint8Array {
  const secret = openSealed(sealed, sealedBy, keys.boxSecret);
  if (secret?.length !== SECRET_BYTES) throw denied('service key', 'not sealed to this agent');
  return secret;
}

function macOf(secret: string, statement: string): string {
  return createHmac('sha256', Buffer.from(secret, 'base64url'))
    .update(statement, 'latin1')
    .digest('base64url');
}

function claimedKey(statement: string): KeyObject {
  const { key } = unprovenClaims(statement);
  if (isPublicNkey('user', key)) return verificationKey(key);
  throw denied('join', 'key must be a public user NKey (U…)');
}

function isNext(next: unknown, nonce: unknown): boolean {
  const { key, x25519, proof } = (next ?? {}) as { key?: unknown; x25519?: unknown; proof?: unknown };
  if (!isPublicNkey('user', key) || !isX25519(x25519) || typeof proof !== 'string') return false;
  return openDocument(verificationKey(key), 'weft-renewal', proof, 1_024).nonce === nonce;
}

function isSealedKey(value: unknown): value is SealedServiceKey {
  const { service, epoch, sealed } = (value ?? {}) as Partial<SealedServiceKey>;
  return (
    typeof service === 'string' &&
    isServiceName(service) &&
    Number.isSafeInteger(epoch) &&
    typeof sealed === 'string'
  );
}

function isX25519(value: unknown): value is string {
  return typeof value === 'string' && bytesOfBase64(value, SECRET_BYTES) !== undefined;
}

function isHex(value: unknown): value is string {
  return typeof value === 'string' && HEX_32.test(value);
}

function denied(what: string, why: string): WeftError {
  return new WeftError('denied', `${what}: ${why}`);
}
