/**
 * The keyring of an enrolled agent: its own keys, what the controller has granted it, and what the mesh publishes about
 * trust and about service keys.
 *
 * K1  Nothing is trusted that no root of the trust list has signed; the list itself is signed by a root that was.
 * K2  An identity that was issued before its agent was cut off holds no more, here and for this agent itself.
 * K3  A service key that another one has taken the place of opens nothing once its last packets are too old.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { AgentKeys } from '../../protocol/agent-keys.ts';
import { BoundedMap } from '../../protocol/bounded-map.ts';
import { type Grant, openServiceKey } from '../../protocol/enrolment.ts';
import { WeftError } from '../../protocol/errors.ts';
import { type SignedPacket, signEvidence } from '../../protocol/evidence.ts';
import { checkIdentity, type Identity } from '../../protocol/identity.ts';
import {
  introduction,
  type PeerIdentity,
  readIntroduction,
  stateSession,
} from '../../protocol/introduction.ts';
import type { Keyring, ServiceKey } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { verificationKey } from '../../protocol/nkey.ts';
import {
  type PublishedServiceKey,
  presentKey,
  x25519PrivateKey,
  x25519PublicKey,
} from '../../protocol/service-key.ts';
import {
  openDocument,
  type PublicationType,
  signDocument,
  unprovenClaims,
} from '../../protocol/signed-document.ts';
import type { TrustList } from '../../protocol/trust-list.ts';

export interface AgentKeyringOptions {
  readonly mesh: string;
  readonly agent: string;
  readonly keys: AgentKeys;
  /** The identity document that it has now. */
  readonly identity: string;
  /** Public NKeys of the roots that it trusts at its start. */
  readonly roots: readonly string[];
  /** Wall clock, ms. */
  readonly now: () => number;
}

/** What a grant brings of identity and keys. */
export type GrantedKeys = Pick<Grant, 'identity' | 'sealedBy' | 'keys'>;

export interface AgentKeyring extends Keyring {
  /** The keys that it has now; a grant may have replaced them. */
  readonly keys: AgentKeys;
  readonly identity: Identity;
  readonly identityDocument: string;
  /** This process, as others know it; what its identity says is read anew each time. */
  readonly self: PeerIdentity;
  /** Public NKeys of the roots that hold. */
  readonly roots: readonly string[];
  /** True if that agent was cut off after `issuedAtMs`. */
  isCut(agent: string, issuedAtMs: number): boolean;
  /** True if a key of a service that its identity names is published and not held. */
  lacksKey(service: string): boolean;
  /** Takes what a grant has brought; `keys` are those that it was asked for with. @throws WeftError `denied` */
  take(grant: GrantedKeys, keys: AgentKeys): void;
  /** Takes a newer trust list. */
  trust(list: TrustList): void;
  /** Takes the public keys of a service from its endpoint list. */
  published(service: string, keys: readonly PublishedServiceKey[]): void;
}

/** @throws WeftError `denied` if the document is of another agent or other keys, or no root has signed it */
export function createAgentKeyring(options: AgentKeyringOptions): AgentKeyring {
  const { mesh, agent, now } = options;
  const session = generateKeyPairSync('x25519');
  const known = new BoundedMap<string, readonly PublishedServiceKey[]>(LIMITS.servicesKnownMax);
  /** Of those that the identity names, which no others push out: an old key would hold again (K3). */
  const ownKnown = new Map<string, readonly PublishedServiceKey[]>();
  const publishedOf = (service: string) => ownKnown.get(service) ?? known.get(service) ?? [];
  const publicKeys = new BoundedMap<string, ServiceKey>(LIMITS.servicesKnownMax);
  const secrets = new Map<string, Map<number, KeyObject>>();
  let rootNames = options.roots;
  let roots = rootNames.map(verificationKey);
  /** No root that holds has signed the identity. */
  let orphaned = false;
  let revoked = new Map<string, number>();
  let keys = options.keys;
  let identityDocument = '';
  let identity: Identity | undefined;
  let document = '';

  const adopt = (text: string, of: AgentKeys) => {
    // Whether it holds now is said when it is used: an agent whose identity has ended can still ask for another one.
    const read = identityAt(roots, mesh, text, now());
    if (read.agent !== agent || read.signingKey !== of.publicKey) {
      throw new WeftError(
        'denied',
        `identity document: it is of ${read.agent}, or of other keys, not of ${agent}`,
      );
    }
    keys = of;
    identity = read;
    identityDocument = text;
    document = introduction(text, stateSession(of.signingKey, agent, session.publicKey));
  };
  adopt(options.identity, options.keys);
  const held = () => identity as Identity;

  const isCut = (name: string, issuedAtMs: number) =>
    issuedAtMs < (revoked.get(name) ?? Number.NEGATIVE_INFINITY);
  const self: PeerIdentity = Object.freeze({
    agent,
    publicKey: session.publicKey,
    get issuer() {
      return held().issuer;
    },
    get signingKey() {
      return verificationKey(keys.publicKey);
    },
    get workloads() {
      return held().workloads;
    },
    get issuedAtMs() {
      return held().issuedAtMs;
    },
    get expiresAtMs() {
      return held().expiresAtMs;
    },
  });
  const isOver = (service: string, epoch: number) => {
    const present = presentKey(publishedOf(service), now());
    return (
      present !== undefined && epoch < present.epoch && now() > present.fromMs + LIMITS.serviceKeyOverlapMs
    );
  };

  return Object.freeze({
    mesh,
    agent,
    privateKey: session.privateKey,
    get keys() {
      return keys;
    },
    get identity() {
      return held();
    },
    get identityDocument() {
      return identityDocument;
    },
    get document() {
      return document;
    },
    self,
    get roots() {
      return rootNames;
    },
    isCut,
    lacksKey(service: string) {
      if (!held().workloads.has(service)) return false;
      const own = secrets.get(service);
      const published = publishedOf(service);
      return published.some(({ epoch }) => own?.has(epoch) !== true && !isOver(service, epoch));
    },
    get fault() {
      const { issuedAtMs, expiresAtMs } = held();
      if (isCut(agent, issuedAtMs)) {
        return `the identity of ${agent} was revoked; start it with a new token: weft token create --host ${agent}`;
      }
      if (orphaned) {
        return `the identity of ${agent} was signed by a root that holds no more; start it with a new token: weft token create --host ${agent}`;
      }
      if (expiresAtMs > now()) return undefined;
      const when = new Date(expiresAtMs).toISOString();
      return `the identity of ${agent} expired at ${when} and was not renewed; is the controller there, and the clock right?`;
    },
    serviceKey(service: string) {
      const present = presentKey(publishedOf(service), now());
      if (present === undefined) return undefined;
      const before = publicKeys.get(service);
      if (before?.epoch === present.epoch) return before;
      const key = { epoch: present.epoch, publicKey: x25519PublicKey(present.x25519) };
      publicKeys.set(service, key);
      return key;
    },
    servicePrivateKey(service: string, epoch: number) {
      if (!held().workloads.has(service) || isOver(service, epoch)) return undefined;
      return secrets.get(service)?.get(epoch);
    },
    canServe(service: string) {
      const own = secrets.get(service);
      if (own === undefined || !held().workloads.has(service)) return false;
      const present = presentKey(publishedOf(service), now());
      return present === undefined ? own.size > 0 : own.has(present.epoch);
    },
    verify(text: string): PeerIdentity {
      const peer = readIntroduction(roots, mesh, text, now());
      if (isCut(peer.agent, peer.issuedAtMs)) {
        throw new WeftError('denied', `identity document: the identity of ${peer.agent} was revoked`);
      }
      return peer;
    },
    sign: (type: 'weft-heartbeat', payload: unknown) => signDocument(keys.signingKey, type, payload),
    signEvidence: (packet: SignedPacket) => signEvidence(keys.signingKey, mesh, packet),
    open: (type: PublicationType, text: string, bytesMax: number) =>
      openDocument(roots, type, text, bytesMax),
    take(grant: GrantedKeys, asked: AgentKeys) {
      const opened = grant.keys.map(({ service, epoch, sealed }) => {
        return { service, epoch, key: x25519PrivateKey(openServiceKey(sealed, grant.sealedBy, asked)) };
      });
      adopt(grant.identity, asked);
      orphaned = false;
      for (const own of [secrets, ownKnown]) {
        for (const service of own.keys()) if (!held().workloads.has(service)) own.delete(service);
      }
      for (const { service, epoch, key } of opened) {
        const own = secrets.get(service) ?? new Map<number, KeyObject>();
        secrets.set(service, own.set(epoch, key));
        for (const older of own.keys()) if (isOver(service, older)) own.delete(older);
      }
    },
    trust(list: TrustList) {
      rootNames = list.roots;
      roots = rootNames.map(verificationKey);
      orphaned = !isSignedBy(roots, mesh, identityDocument, now());
      revoked = new Map(list.revoked.map((cut) => [cut.agent, cut.beforeMs]));
    },
    published(service: string, keys: readonly PublishedServiceKey[]) {
      if (held().workloads.has(service)) ownKnown.set(service, keys);
      else known.set(service, keys);
    },
  });
}

function isSignedBy(roots: readonly KeyObject[], mesh: string, text: string, nowMs: number): boolean {
  try {
    identityAt(roots, mesh, text, nowMs);
    return true;
  } catch {
    return false;
  }
}

/** An identity that is read as of the time at which it held last. */
function identityAt(roots: readonly KeyObject[], mesh: string, text: string, nowMs: number): Identity {
  try {
    return checkIdentity(roots, mesh, text, nowMs);
  } catch (error) {
    const { exp } = unprovenClaims(text);
    if (typeof exp !== 'number' || !(exp * 1000 <= nowMs)) throw error;
    return checkIdentity(roots, mesh, text, exp * 1000 - 1);
  }
}
