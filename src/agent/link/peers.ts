/**
 * The agent processes that packets have come from: who they are, the keys and replay windows of what they
 * send, and the streams they have opened here. Everything about a packet that can be refused is refused here.
 *
 * P1  Nothing of a packet is acted on before its seal has been checked.
 * P2  A packet is taken once: its counter has not been seen in its (session, audience).
 * P3  The number of peers is bounded; the one unheard for longest leaves first.
 * P4  What was sealed for a service before this process began is not acted on: another process may have taken it
 *     (P2 is of one process). What is sealed for a process needs no such rule: its key is gone with it.
 * P5  What was sealed for a service counts only with its sender's signature, as long as the key of that service holds,
 *     on the subject of that service, and to open requests to it (`service-packet.ts`): others have that key too.
 */
import type { KeyObject } from 'node:crypto';
import { WeftError } from '../../protocol/errors.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { type PacketHeader, readHeader } from '../../protocol/packet.ts';
import { ReplayWindow } from '../../protocol/replay-window.ts';
import { derivePacketKey, openPacket } from '../../protocol/seal.ts';
import type { PacketEvidence } from './evidence.ts';
import type { Lane } from './lane.ts';
import { type Refusal, RefusedPacket } from './refusal.ts';
import { provenServicePacket } from './service-packet.ts';
import type { LinkStream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** One direction of sealed traffic: from a peer to one audience. */
interface Channel {
  readonly key: KeyObject;
  readonly window: ReplayWindow;
}

/** One process of another agent (or, by the bus, of this one). */
export class Peer {
  /** Replaced when the peer shows a renewed document. */
  identity: PeerIdentity;
  document: string;
  /** Agent and session. */
  readonly name: string;
  readonly lane: Lane;
  /** Streams that the peer has opened here, by their id. */
  readonly served = new StreamTable<LinkStream>();
  readonly channels = new Map<string, Channel>();

  constructor(identity: PeerIdentity, document: string, session: string, lane: Lane) {
    this.identity = identity;
    this.document = document;
    this.name = `${identity.agent}.${session}`;
    this.lane = lane;
  }
}

/** An opened packet and who sent it. */
export interface OpenedPacket {
  readonly peer: Peer;
  readonly header: PacketHeader;
  readonly plain: Buffer;
  /** It was sent before this process began, for whoever served then (P4). */
  readonly early: boolean;
  /** The signature of what was sealed for a service; it has been checked (P5). */
  readonly evidence: PacketEvidence | undefined;
}

export interface PeersParts {
  readonly keyring: Keyring;
  readonly wallMs: () => number;
  /** True for what was sent before this process began. */
  readonly isEarly: (sentAtMs: number) => boolean;
  readonly laneTo: (identity: PeerIdentity, session: string) => Lane;
}

export class Peers {
  readonly #parts: PeersParts;
  /** By agent and session: nobody can sit on the session of another agent. */
  readonly #known = new Map<string, Peer>();
  #latest: Peer | undefined;

  constructor(parts: PeersParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Calls `visit` for every stream that any peer has opened here. */
  visitServed(visit: (stream: LinkStream) => void): void {
    for (const peer of this.#known.values()) peer.served.visit(visit);
  }

  servedCount(): number {
    let count = 0;
    for (const peer of this.#known.values()) count += peer.served.size;
    return count;
  }

  /** Checks and opens one bus message; throws RefusedPacket. */
  open(bytes: Uint8Array, subject: string): OpenedPacket {
    const { keyring, wallMs } = this.#parts;
    const header = headerOf(bytes);
    const ageMs = wallMs() - header.sentAtMs;
    if (Math.abs(ageMs) > LIMITS.packetAgeMs) {
      throw new RefusedPacket('age', `the packet is ${ageMs} ms old, at most ${LIMITS.packetAgeMs} is taken`);
    }
    const peer = this.#known.get(`${header.sender}.${header.session}`) ?? this.#meet(header);
    const { document } = header;
    const renewed =
      document !== undefined && document !== peer.document ? this.#renewed(peer, document) : undefined;
    if ((renewed ?? peer.identity).expiresAtMs < wallMs()) {
      throw new RefusedPacket('expired', `the identity of ${header.sender} has ended`);
    }
    const channel = this.#channel(peer, header);
    const plain = opened(channel.key, bytes, header, subject);
    // Before its signature is checked: whoever plays a packet again would have that done as often as they like.
    if (channel.window.hasSeen(header.counter)) {
      throw new RefusedPacket('replay', `packet ${header.counter} of ${header.sender} has been here before`);
    }
    const evidence = header.toService ? this.#proven(peer, renewed, header, subject, plain) : undefined;
    channel.window.accept(header.counter);
    if (renewed !== undefined && document !== undefined && renewed.expiresAtMs >= peer.identity.expiresAtMs) {
      peer.identity = renewed;
      peer.document = document;
    }
    if (peer.lane.sealer.documentNeeded && !header.toService) {
      // Sealed to this very agent: the sender knows our key, so it has our document.
      if (header.audience === keyring.agent) peer.lane.sealer.documentNeeded = false;
    }
    this.#heard(peer);
    const early = header.toService && this.#parts.isEarly(header.sentAtMs);
    return { peer, header, plain, early, evidence };
  }

  /** Forgets the peers that `isOut` names; `end` is called with each stream that they have opened here. Returns their lanes. */
  expel(
    isOut: (peer: PeerIdentity) => boolean,
    end: (stream: LinkStream, by: PeerIdentity) => void,
  ): ReadonlySet<Lane> {
    const lanes = new Set<Lane>();
    for (const { name, identity, served, lane } of this.#known.values()) {
      if (!isOut(identity)) continue;
      lanes.add(lane);
      served.visit((stream) => end(stream, identity));
      this.#known.delete(name);
    }
    this.#latest = undefined;
    return lanes;
  }

  #meet(header: PacketHeader): Peer {
    if (header.document === undefined) {
      throw new RefusedPacket('stranger', `${header.sender} has not shown its identity`);
    }
    const identity = this.#verify(header.document);
    if (identity.agent !== header.sender) {
      throw new RefusedPacket('sender', `${header.sender} shows the identity of ${identity.agent}`);
    }
    return new Peer(identity, header.document, header.session, this.#laneTo(identity, header.session));
  }

  #laneTo(identity: PeerIdentity, session: string): Lane {
    try {
      return this.#parts.laneTo(identity, session);
    } catch (error) {
      throw refusalOf('identity', error);
    }
  }

  #verify(document: string): PeerIdentity {
    try {
      return this.#parts.keyring.verify(document);
    } catch (error) {
      throw refusalOf('identity', error);
    }
  }

  /** A process keeps its name and its keys for life; only the document that says so is renewed. */
  #renewed(peer: Peer, document: string): PeerIdentity {
    const identity = this.#verify(document);
    if (identity.agent !== peer.identity.agent || !identity.publicKey.equals(peer.identity.publicKey)) {
      throw new RefusedPacket('sender', 'another identity in a session that has one');
    }
    return identity;
  }

  /** Keeps the map in the order in which the peers were last heard. */
  #heard(peer: Peer): void {
    if (this.#latest === peer) return;
    if (!this.#known.has(peer.name)) this.#makeRoom(peer.identity.agent);
    this.#latest = peer;
    this.#known.delete(peer.name);
    this.#known.set(peer.name, peer);
  }

  /** An agent that comes with ever new sessions drives out its own, not those of others. */
  #makeRoom(agent: string): void {
    let sessions = 0;
    let oldest: Peer | undefined;
    let ownOldest: Peer | undefined;
    for (const peer of this.#known.values()) {
      const own = peer.identity.agent === agent;
      if (own) sessions += 1;
      if (peer.served.size > 0) continue;
      oldest ??= peer;
      if (own) ownOldest ??= peer;
    }
    const crowded = sessions >= LIMITS.sessionsPerAgentMax;
    if (!crowded && this.#known.size < LIMITS.peersMax) return;
    const leaving = crowded ? ownOldest : oldest;
    if (leaving !== undefined) {
      this.#known.delete(leaving.name);
      return;
    }
    throw new RefusedPacket('peers', `no room for another session of ${agent}: all have streams here`);
  }

  /** The signature (P5), by the key of the introduction that came along: it may be a new one. */
  #proven(
    peer: Peer,
    renewed: PeerIdentity | undefined,
    header: PacketHeader,
    subject: string,
    plain: Buffer,
  ): PacketEvidence {
    const identity = renewed ?? peer.identity;
    const document = (renewed && header.document) ?? peer.document;
    try {
      return provenServicePacket(this.#parts.keyring.mesh, { identity, document }, header, subject, plain);
    } catch (error) {
      throw refusalOf('frames', error);
    }
  }

  #channel(peer: Peer, header: PacketHeader): Channel {
    const { keyring } = this.#parts;
    const { toService } = header;
    const name = toService ? `${header.audience}#${header.epoch}` : '';
    const known = peer.channels.get(name);
    if (known !== undefined && !toService) {
      if (header.audience !== keyring.agent) throw notForUs(header);
      return known;
    }
    const privateKey = toService
      ? keyring.servicePrivateKey(header.audience, header.epoch)
      : header.audience === keyring.agent
        ? keyring.privateKey
        : undefined;
    if (privateKey === undefined) {
      // Of a service, it was replaced: what was derived from it goes too.
      peer.channels.delete(name);
      throw notForUs(header);
    }
    if (known !== undefined) return known;
    const channel = { key: channelKey(keyring.mesh, peer, header, privateKey), window: new ReplayWindow() };
    peer.channels.set(name, channel);
    return channel;
  }
}

function notForUs(header: PacketHeader): RefusedPacket {
  return new RefusedPacket('audience', `the packet is for ${header.audience}, epoch ${header.epoch}`);
}

function headerOf(bytes: Uint8Array): PacketHeader {
  try {
    return readHeader(bytes);
  } catch (error) {
    throw refusalOf('header', error);
  }
}

function opened(key: KeyObject, bytes: Uint8Array, header: PacketHeader, subject: string): Buffer {
  try {
    return openPacket(key, bytes, header.length, subject, header.counter);
  } catch (error) {
    throw refusalOf('seal', error);
  }
}

function channelKey(mesh: string, peer: Peer, header: PacketHeader, privateKey: KeyObject): KeyObject {
  const { sender, session, audience, toService, epoch } = header;
  const { publicKey } = peer.identity;
  try {
    return derivePacketKey({ mesh, sender, session, audience, toService, epoch, privateKey, publicKey });
  } catch (error) {
    throw refusalOf('identity', error);
  }
}

/** What the protocol says of a packet, as the reason to refuse it; a fault of our own stays one. */
function refusalOf(reason: Refusal, error: unknown): unknown {
  return error instanceof WeftError ? new RefusedPacket(reason, error.message) : error;
}
