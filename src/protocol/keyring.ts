/**
 * The keys that an agent holds and knows. `Keyring` is the seam to how they arrive: today every agent of a mesh
 * is given the mesh root, issues its own identity and derives the service keys.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { BoundedMap } from './bounded-map.ts';
import { checkIdentity, issueIdentity, verificationKey } from './identity.ts';
import { LIMITS } from './limits.ts';
import { isServiceName } from './names.ts';
import { type Root, readRoot } from './root.ts';
import { openDocument, signDocument, signingKey } from './signed-document.ts';

export interface PeerIdentity {
  readonly agent: string;
  /** X25519. */
  readonly publicKey: KeyObject;
  /** Services it may speak and serve for, "orders.default". */
  readonly workloads: ReadonlySet<string>;
  readonly expiresAtMs: number;
}

export interface ServiceKey {
  readonly epoch: number;
  /** X25519. */
  readonly publicKey: KeyObject;
}

export interface Keyring {
  readonly mesh: string;
  readonly agent: string;
  /** This agent's own X25519 key. */
  readonly privateKey: KeyObject;
  /** This agent's identity document as it is now: it is renewed, so read it when it is sent. */
  readonly document: string;
  /** To seal what is for any endpoint of "orders.default"; undefined if the service has no key. */
  serviceKey(service: string): ServiceKey | undefined;
  /** To open what was sealed for a service; undefined unless this agent may serve it. */
  servicePrivateKey(service: string, epoch: number): KeyObject | undefined;
  /** @throws WeftError `denied`: bad signature, expired, other mesh, malformed */
  verify(document: string): PeerIdentity;
  /** Signs what this agent states of itself. */
  sign(type: 'weft-heartbeat', payload: unknown): string;
  /**
   * What the controller has published.
   * @throws WeftError `denied`: another type, too long, bad signature, no JSON object
   */
  open(
    type: 'weft-snapshot' | 'weft-endpoints',
    text: string,
    bytesMax: number,
  ): Readonly<Record<string, unknown>>;
}

/** Keys that follow from the root do not change. */
const EPOCH = 1;
/** PKCS #8 of a raw X25519 private key (RFC 8410 §7). */
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

export interface RootKeyringOptions {
  /** Text of the mesh root's seed file (NKey, `SA…`). */
  readonly rootSeed: string;
  readonly mesh: string;
  readonly agent: string;
  /** Services that this agent may speak and serve for, "orders.default". */
  readonly workloads: readonly string[];
  /** Wall clock, ms. */
  readonly now: () => number;
}

/** @throws WeftError `internal` if the seed is none */
export function createRootKeyring(options: RootKeyringOptions): Keyring {
  const { mesh, agent, now } = options;
  const root = readRoot(options.rootSeed);
  const rootKey = verificationKey(root.publicKey);
  const workloads = new Set(options.workloads);
  const own = generateKeyPairSync('x25519');
  const rootSigningKey = signingKey(root);
  const serviceKeys = new BoundedMap<string, ServiceKey>(LIMITS.servicesKnownMax);

  const issue = (at: number) => {
    const identity = { agent, publicKey: own.publicKey, workloads, expiresAtMs: at + LIMITS.identityMs };
    return { document: issueIdentity(root, mesh, identity, at), renewAtMs: at + LIMITS.identityRenewMs };
  };
  let issued = issue(now());

  return Object.freeze({
    mesh,
    agent,
    privateKey: own.privateKey,
    get document() {
      const at = now();
      if (at >= issued.renewAtMs) issued = issue(at);
      return issued.document;
    },
    serviceKey(service: string) {
      const known = serviceKeys.get(service);
      if (known !== undefined) return known;
      if (!isServiceName(service)) return undefined;
      const key = { epoch: EPOCH, publicKey: createPublicKey(servicePrivateKey(root, mesh, service)) };
      serviceKeys.set(service, key);
      return key;
    },
    servicePrivateKey(service: string, epoch: number) {
      return epoch === EPOCH && workloads.has(service) ? servicePrivateKey(root, mesh, service) : undefined;
    },
    verify: (document: string) => checkIdentity(rootKey, mesh, document, now()),
    sign: (type: 'weft-heartbeat', payload: unknown) => signDocument(rootSigningKey, type, payload),
    open: (type: 'weft-snapshot' | 'weft-endpoints', text: string, bytesMax: number) =>
      openDocument(rootKey, type, text, bytesMax),
  });
}

function servicePrivateKey(root: Root, mesh: string, service: string): KeyObject {
  const info = [mesh, service, EPOCH].join('\0');
  const secret = Buffer.from(hkdfSync('sha256', root.secret, 'weft service key 1', info, 32));
  return createPrivateKey({ key: Buffer.concat([X25519_PKCS8, secret]), format: 'der', type: 'pkcs8' });
}
