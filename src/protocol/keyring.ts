/** The keys that an agent holds and knows: all that the data plane has to do with trust. */
import type { KeyObject } from 'node:crypto';
import type { SignedPacket } from './evidence.ts';
import type { PeerIdentity } from './introduction.ts';
import type { PublicationType } from './signed-document.ts';

export interface ServiceKey {
  readonly epoch: number;
  /** X25519. */
  readonly publicKey: KeyObject;
}

export interface Keyring {
  readonly mesh: string;
  readonly agent: string;
  /** The X25519 key of this process. */
  readonly privateKey: KeyObject;
  /** This process's introduction as it is now: its identity is renewed, so read it when it is sent. */
  readonly document: string;
  /** Why this agent may neither call nor serve now (its identity expired, or was revoked), in words; else undefined. */
  readonly fault: string | undefined;
  /** To seal what is for any endpoint of "orders.default"; undefined if the service has no key that is known here. */
  serviceKey(service: string): ServiceKey | undefined;
  /** To open what was sealed for a service; undefined unless this agent may serve it. */
  servicePrivateKey(service: string, epoch: number): KeyObject | undefined;
  /** True if it can open what is sealed for the service now: who cannot must not be in its queue group. */
  canServe(service: string): boolean;
  /** @throws WeftError `denied`: bad signature, expired, revoked, other mesh, malformed */
  verify(document: string): PeerIdentity;
  /** Signs what this agent states of itself. */
  sign(type: 'weft-heartbeat', payload: unknown): string;
  /** Signs a packet that it sends, so that what is in it can be proven to others: 64 bytes. */
  signEvidence(packet: SignedPacket): Buffer;
  /**
   * What the controller has published.
   * @throws WeftError `denied`: another type, too long, bad signature, no JSON object
   */
  open(type: PublicationType, text: string, bytesMax: number): Readonly<Record<string, unknown>>;
}
