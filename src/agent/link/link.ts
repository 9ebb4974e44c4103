/**
 * Streams over the bus: opens them towards services and single endpoints, takes those that other agents
 * open here, and hands every frame to its stream.
 *
 * L1  Only an agent that is entitled to a service may answer for it, and only the first that answers.
 * L2  When the bus is lost every stream over it ends at once with `bus_lost`; nothing waits for it.
 * L3  A frame for a stream that is over is dropped: the far side may not know yet.
 * L4  A request ends with `agent_lost` when the process that has it is known to be gone, before its response began.
 * L5  What a stream that asks for evidence takes is signed by its sender; else it ends, and nothing is handed on.
 * L6  With an agent that was cut off nothing goes on, in neither direction.
 */
import { createPublicKey, randomBytes } from 'node:crypto';
import { WeftError } from '../../protocol/errors.ts';
import {
  FLAG,
  type FrameVisitor,
  frameCredit,
  frameOffset,
  frameReset,
  OFFSET_BYTES,
  readFrames,
  resetBytes,
  TYPE,
} from '../../protocol/frames.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import { keyFingerprint } from '../../protocol/introduction.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { counterOfReply, receiveSubject, repliesSubject } from '../../protocol/subjects.ts';
import { BodyGarbage } from '../garbage.ts';
import { Acceptance } from './acceptance.ts';
import type { Bus, Deliver } from './bus.ts';
import { PacketEvidence } from './evidence.ts';
import { Lane } from './lane.ts';
import { Outbox } from './outbox.ts';
import { type OpenedPacket, type Peer, Peers } from './peers.ts';
import { type Refusal, RefusedPacket } from './refusal.ts';
import type { RequestLane } from './request-lane.ts';
import { RequestLanes } from './request-lanes.ts';
import { Sealer } from './sealer.ts';
import { DEAF, LinkStream, type Stream, type StreamHandler, type StreamOwner } from './stream.ts';
import { StreamTable } from './stream-table.ts';
import { Subscriptions } from './subscriptions.ts';

/** What the inbound side is asked: to serve a stream whose request head is `head`. */
export type Serve = (stream: Stream, from: PeerIdentity, head: string, last: boolean) => StreamHandler;

export interface LinkEvents {
  /** A packet was refused before anything of it was acted on, or a frame of it. */
  refused(reason: Refusal, details: string): void;
  /** A fault of our own while a packet was read. */
  fault(error: unknown): void;
  /** An endpoint has shown that it serves: an answer to a request came from it. */
  served(service: string, endpoint: PeerIdentity): void;
  /** An endpoint was asked and is not there, or does not answer. */
  missing(service: string, agent: string): void;
  /** A packet has come that is evidence of what its sender has said to, or as, a service that asks for it. */
  proven(service: string, packet: PacketEvidence): void;
}

export interface LinkParts {
  readonly keyring: Keyring;
  /** Wall clock, for the age of packets. */
  readonly wallMs: () => number;
  /** Clock that does not jump. */
  readonly now: () => number;
  readonly events: LinkEvents;
  readonly serve: Serve;
}

export class Link implements StreamOwner, FrameVisitor {
  readonly #parts: LinkParts;
  readonly #session = randomBytes(8).toString('hex');
  readonly #garbage = new BodyGarbage();
  readonly #outbox = new Outbox({
    bus: () => this.#bus,
    garbage: this.#garbage,
    crowded: () => this.#streams > 1,
  });
  readonly #peers: Peers;
  readonly #opened = new StreamTable<LinkStream>();
  readonly #acceptance = new Acceptance({
    ping: async () => this.#bus?.flush(),
    visit: (visit) => this.#opened.visit(visit),
  });
  readonly #lanes: RequestLanes;
  readonly #subscriptions: Subscriptions;
  #bus: Bus | undefined;
  /** Streams that are open, of both sides. */
  #streams = 0;
  /** By how much the windows of all streams together are above where they start. */
  #windowGrowth = 0;
  #reading: OpenedPacket | undefined;
  #subject = '';
  /** Of the packet that is being read, if its sender signs all of what it is about. */
  #evidence: PacketEvidence | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    const { keyring, wallMs } = parts;
    // A packet from before is older than any may be once this process has run for a while, whatever the clocks do.
    const [startedWallMs, startedMs] = [wallMs(), parts.now()];
    const { mesh, agent } = keyring;
    const fingerprint = keyFingerprint(createPublicKey(keyring.privateKey));
    this.#subscriptions = new Subscriptions({ mesh, agent, fingerprint, deliver: this.#receive });
    const outbox = this.#outbox;
    this.#lanes = new RequestLanes({ keyring, wallMs, now: parts.now, session: this.#session, outbox });
    this.#peers = new Peers({
      keyring,
      wallMs,
      isEarly: (sentAtMs) => sentAtMs < startedWallMs && parts.now() - startedMs <= 2 * LIMITS.packetAgeMs,
      laneTo: (identity, session) => {
        const audience = { name: identity.agent, toService: false, epoch: 0, publicKey: identity.publicKey };
        const sealer = new Sealer(keyring, this.#session, audience, wallMs);
        const subject = receiveSubject(keyring.mesh, identity.agent, session);
        return new Lane(identity.agent, subject, sealer, this.#outbox);
      },
    });
  }

  /** Of this process; it stands in its packets. */
  get session(): string {
    return this.#session;
  }

  /** True if requests can leave now. */
  get up(): boolean {
    return this.#bus?.up === true;
  }

  /** Live streams and map sizes, for the admin endpoint. */
  counts(): { opened: number; served: number; peers: number } {
    return {
      opened: this.#opened.size,
      served: this.#peers.servedCount(),
      peers: this.#peers.size,
    };
  }

  /** Starts to receive on `bus`: what comes back to this process. */
  attach(bus: Bus): void {
    this.#bus = bus;
    const { mesh, agent } = this.#parts.keyring;
    const own = receiveSubject(mesh, agent, this.#session);
    this.#subscriptions.add(bus, own, undefined, this.#receive);
    this.#subscriptions.add(bus, repliesSubject(own), undefined, this.#unanswered);
  }

  /**
   * Takes requests for `service`: at its own instance subject and, if `shared`, as a member of its queue group, which
   * only those can be who can open what is sealed for the service.
   */
  join(service: string, shared = true): void {
    if (this.#bus !== undefined) this.#subscriptions.join(this.#bus, service, shared);
  }

  /** Takes no new request for `service`; what runs goes on. */
  leave(service: string): void {
    this.#subscriptions.leave(service);
  }

  /**
   * Opens a stream to any endpoint of `service`: the bus picks. `spread`: endpoints believed to serve; `signed`: the
   * service asks for evidence.
   */
  openToService(
    service: string,
    head: string,
    last: boolean,
    handler: StreamHandler,
    spread: number,
    signed = false,
  ): Stream {
    return this.#open(this.#lanes.toService(service, signed), service, head, last, handler, spread);
  }

  /** Opens a stream to the one endpoint of `service` at `endpoint`. */
  openToInstance(
    service: string,
    endpoint: PeerIdentity,
    head: string,
    last: boolean,
    handler: StreamHandler,
    signed = false,
  ): Stream {
    return this.#open(this.#lanes.toInstance(service, endpoint, signed), service, head, last, handler, 1);
  }

  /** Looks after what has waited too long; called every few milliseconds while streams are open. */
  tick(nowMs: number): void {
    this.#opened.visit((stream) => {
      if (!this.#acceptance.isOverdue(stream, nowMs)) return;
      const agent = stream.lane?.agent ?? stream.instance;
      if (agent !== undefined) this.#parts.events.missing(stream.service, agent);
      const seconds = LIMITS.acceptTimeoutMs / 1000;
      stream.fail(new WeftError('not_accepted', `no agent has acknowledged it within ${seconds} s`));
    });
    // After a pause of this process the ticks are behind the time; the callers' are not.
    const acceptMs = this.#parts.now() - LIMITS.acceptAfterMs;
    this.#peers.visitServed((stream) => {
      if (!stream.acknowledged && stream.startedMs < acceptMs) stream.sendAccept();
      if (stream.idleMs(nowMs) > LIMITS.streamIdleMs) {
        stream.fail(new WeftError('stream_idle', `nothing was sent for ${LIMITS.streamIdleMs / 1000} s`));
      }
    });
  }

  /**
   * An agent process is known to be gone (L4): what it has, or alone could have taken, and has not begun to answer
   * ends at once. What it has begun to answer is left to the far side, the bus and the clock.
   */
  gone(service: string, { agent, publicKey }: PeerIdentity): void {
    this.#opened.visit((stream) => {
      const { process } = stream;
      if (stream.service !== service || stream.responded) return;
      if (process?.name !== agent || !process.publicKey.equals(publicKey)) return;
      stream.fail(new WeftError('agent_lost', `the agent ${agent} that had the request is gone`));
    });
  }

  /** The bus is gone (L2). */
  lost(): void {
    this.fail(new WeftError('bus_lost', 'the connection to NATS broke while the request was under way'));
  }

  /** Ends every stream at once; the other agents are not told. */
  fail(error: WeftError): void {
    this.#opened.visit((stream) => stream.fail(error));
    this.#peers.visitServed((stream) => stream.fail(error));
  }

  /** Ends every stream with the processes that `isOut` names, in both directions, and forgets them (L6). */
  expel(isOut: (peer: PeerIdentity) => boolean): void {
    const lanes = this.#peers.expel(isOut, (stream, { agent }) => {
      stream.failBoth(new WeftError('identity_invalid', `the agent ${agent} was cut off`));
    });
    this.#opened.visit((stream) => {
      const { lane, instance, service } = stream;
      const asked = instance === undefined ? undefined : this.#lanes.endpointOf(service, instance);
      const out = lane === undefined ? asked !== undefined && isOut(asked) : lanes.has(lane.main);
      if (out)
        stream.failBoth(new WeftError('agent_lost', `the agent ${stream.peer ?? instance} was cut off`));
    });
  }

  /** Shows the introduction as it is now to everybody with whom a stream is open: one that idles would not, for long. */
  introduce(): void {
    const shown = new Set<Lane>();
    const show = (stream: LinkStream) => {
      if (stream.lane === undefined || shown.has(stream.lane)) return;
      shown.add(stream.lane);
      stream.sendNothing();
    };
    this.#opened.visit(show);
    this.#peers.visitServed(show);
  }

  /** Resolves when the bus has processed what was sent, and what it had for us has arrived; or if it is lost. */
  async flush(): Promise<void> {
    await this.#bus?.flush().catch(() => {});
  }

  /** Ends every subscription, and every stream that still runs; the other agents are told. */
  detach(): void {
    this.#subscriptions.clear();
    const error = new WeftError('bus_lost', 'the agent has stopped');
    this.#opened.visit((stream) => stream.failBoth(error));
    this.#peers.visitServed((stream) => stream.failBoth(error));
    this.#outbox.flush();
    this.#bus = undefined;
  }

  forget(stream: LinkStream): void {
    this.#streams -= 1;
    if (stream.servedFor === undefined) this.#opened.delete(stream, true);
    else stream.servedFor.delete(stream, false);
  }

  now(): number {
    return this.#parts.now();
  }

  growWindows(bytes: number): boolean {
    if (this.#windowGrowth + bytes > LIMITS.windowGrowthMaxBytes) return false;
    this.#windowGrowth += bytes;
    return true;
  }

  /** One frame of the packet that is being read. */
  frame(type: number, flags: number, id: number, plain: Buffer, start: number, end: number): void {
    const { peer } = this.#reading as OpenedPacket;
    if (type === TYPE.EVIDENCE) this.#signed(flags, this.#reading as OpenedPacket);
    else if ((flags & FLAG.OPENER) === 0) this.#frameOfAnswer(peer, type, flags, id, plain, start, end);
    else if (type === TYPE.REQUEST) this.#request(peer, flags, id, plain.toString('latin1', start, end));
    else {
      const stream = peer.served.get(id);
      if (stream !== undefined && this.#isProven(stream, type)) deliver(stream, type, plain, start, end);
    }
  }

  readonly #receive: Deliver = (payload, subject) => {
    try {
      const packet = this.#peers.open(payload, subject);
      const { plain } = packet;
      this.#reading = packet;
      this.#subject = subject;
      this.#evidence = undefined;
      readFrames(plain, this);
      this.#garbage.passed(plain.length);
    } catch (error) {
      if (error instanceof RefusedPacket) this.#parts.events.refused(error.reason, error.message);
      else if (error instanceof WeftError) this.#parts.events.refused('frames', error.message);
      // Thrown on, it would stop the client from reading: the agent would be deaf.
      else this.#parts.events.fault(error);
    }
  };

  /** The bus's own word that nobody took a packet of requests. */
  readonly #unanswered: Deliver = (_payload, subject, noResponders) => {
    if (!noResponders) return;
    const packetNumber = counterOfReply(subject);
    this.#opened.visit((stream) => {
      if (stream.packetNumber !== packetNumber || stream.acknowledged) return;
      if (stream.instance !== undefined) this.#parts.events.missing(stream.service, stream.instance);
      stream.fail(new WeftError('no_endpoint', `no agent serves ${stream.service} now`));
    });
  };

  #frameOfAnswer(
    peer: Peer,
    type: number,
    flags: number,
    id: number,
    plain: Buffer,
    start: number,
    end: number,
  ): void {
    const stream = this.#opened.get(id);
    if (stream === undefined) {
      // Whoever asked has gone before anybody answered, and could not say so to anybody. Now it is known to whom.
      if (type === TYPE.ACCEPT || (type === TYPE.RESPONSE && (flags & FLAG.LAST) === 0)) {
        const details = 'nobody waits for the response';
        const lane = this.#laneBack(peer);
        lane.writer(resetBytes('cancelled', details)).reset(FLAG.OPENER, id, 'cancelled', details);
      }
      return;
    }
    if (stream.lane === undefined) {
      if (!peer.identity.workloads.has(stream.service)) {
        this.#parts.events.refused('entitled', `${peer.identity.agent} may not answer for ${stream.service}`);
        return;
      }
      this.#parts.events.served(stream.service, peer.identity);
      stream.bind(peer.lane);
    } else if (stream.lane.main !== peer.lane) {
      this.#parts.events.refused('entitled', `${peer.identity.agent} answered what another agent has`);
      return;
    }
    if (!this.#isProven(stream, type)) return;
    stream.acknowledged = true;
    if (type === TYPE.RESPONSE) {
      stream.receivedResponse(plain.toString('latin1', start, end), (flags & FLAG.LAST) !== 0);
    } else if (type === TYPE.INFORMATIONAL)
      stream.receivedInformational(plain.toString('latin1', start, end));
    else if (type === TYPE.RESET) {
      const error = frameReset(plain, start, end);
      if (error.code === 'evidence_missing') this.#lanes.askedToSign(stream.service);
      stream.fail(error);
    } else deliver(stream, type, plain, start, end);
  }

  #request(peer: Peer, flags: number, id: number, head: string): void {
    const last = (flags & FLAG.LAST) !== 0;
    if (this.#reading?.early === true) return this.#refuseEarly(peer, id);
    const origin = { streams: peer.served, lane: this.#laneBack(peer), last };
    // A caller that goes before anybody has answered has nobody to say so to; its next request in the slot says it.
    peer.served.before(id)?.fail(new WeftError('cancelled', 'the caller went away'));
    const stream = new LinkStream(this, id, origin, DEAF, this.#parts.now());
    if (!peer.served.add(stream)) {
      this.#parts.events.refused(
        'stream',
        `${peer.identity.agent} opened ${id} where another stream is open`,
      );
      return;
    }
    this.#streams += 1;
    if (peer.served.size > LIMITS.streamsPerPeerMax) {
      stream.reset('overloaded', `${LIMITS.streamsPerPeerMax} requests of this agent are under way already`);
    } else {
      stream.serveWith(this.#parts.serve(stream, peer.identity, head, last));
      // A body is to follow: its sender has to learn who takes it.
      if (!last) stream.sendAccept();
      // What was refused has had no effect, and strangers could drive out what has.
      if (stream.evidence !== undefined && peer.served.get(id) === stream) this.#record(stream.evidence);
    }
  }

  /** Who has sent it just now, by a clock that is behind, may send it again; who has recorded it gets nothing (P4). */
  #refuseEarly(peer: Peer, id: number): void {
    const { agent } = peer.identity;
    const details = `it was sent before this agent started, by the clock of ${agent}`;
    this.#parts.events.refused('early', details);
    peer.lane.writer(resetBytes('not_serving', details)).reset(0, id, 'not_serving', details);
  }

  /** What only shows who sends (P5) is no evidence to act on: its sender does not sign the rest, and does not expect it. */
  #signed(flags: number, { peer, header, plain, evidence }: OpenedPacket): void {
    if ((flags & FLAG.ONE_WAY) !== 0) return;
    this.#evidence =
      evidence ?? new PacketEvidence(this.#parts.keyring.mesh, peer, header, this.#subject, plain);
  }

  /** Who signs is answered with signatures, whether or not it is known here by now that the service asks for them. */
  #laneBack(peer: Peer): Lane {
    return this.#evidence === undefined ? peer.lane : peer.lane.signing(this.#evidence.service);
  }

  evidenceFault(service: string): string | undefined {
    const fault = this.#evidence === undefined ? 'this one is not' : this.#evidence.faultFor(service);
    if (fault !== undefined) {
      const { peer } = this.#reading as OpenedPacket;
      this.#parts.events.refused('evidence', `${peer.identity.agent}, about ${service}: ${fault}`);
    }
    return fault;
  }

  /** True if a frame of this packet may be handed to the stream (L5). */
  #isProven(stream: LinkStream, type: number): boolean {
    const service = stream.evidence;
    if (service === undefined) return true;
    const fault = this.evidenceFault(service);
    if (fault !== undefined) {
      const details = `${service} takes only signed packets (TrafficPolicy): ${fault}`;
      stream.failBoth(new WeftError('stream_protocol', details));
      return false;
    }
    // The other two only say how far the other side is.
    if (type !== TYPE.ACCEPT && type !== TYPE.CREDIT) this.#record(service);
    return true;
  }

  /** Hands on the evidence of the packet that is being read, once. */
  #record(service: string): void {
    const evidence = this.#evidence;
    if (evidence === undefined || evidence.recorded) return;
    evidence.recorded = true;
    this.#parts.events.proven(service, evidence);
  }

  #open(
    lane: RequestLane,
    service: string,
    head: string,
    last: boolean,
    handler: StreamHandler,
    spread: number,
  ): Stream {
    if (!this.up) throw new WeftError('bus_down', 'this agent has no connection to NATS');
    if (head.length > lane.headBytesMax) {
      const details = `the head has ${head.length} bytes, and NATS takes ${lane.headBytesMax} (max_payload)`;
      throw new WeftError('head_too_large', details);
    }
    const id = this.#opened.freeId();
    if (id === undefined) throw new WeftError('overloaded', 'this agent has as many streams open as it can');
    const stream = new LinkStream(
      this,
      id,
      { service, instance: lane.instance, sealer: lane.sealer, evidence: lane.evidence },
      handler,
      this.#parts.now(),
    );
    lane.open(stream, head, last, spread);
    this.#opened.add(stream);
    this.#streams += 1;
    return stream;
  }
}

/** A frame that means the same in both directions. */
function deliver(stream: LinkStream, type: number, plain: Buffer, start: number, end: number): void {
  switch (type) {
    case TYPE.DATA:
      stream.receivedData(frameOffset(plain, start), plain.subarray(start + OFFSET_BYTES, end));
      break;
    case TYPE.END:
      stream.receivedEnd(frameOffset(plain, start), plain.toString('latin1', start + OFFSET_BYTES, end));
      break;
    case TYPE.CREDIT:
      stream.receivedCredit(frameCredit(plain, start));
      break;
    case TYPE.RESET:
      stream.fail(frameReset(plain, start, end));
      break;
    default: // ACCEPT has said all there is to say.
  }
}
