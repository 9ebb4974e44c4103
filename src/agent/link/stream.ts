/**
 * One request and its response between two agents: the contract that the two proxies speak, and its
 * implementation over packets. A stream on one agent (`local.ts`) keeps the same contract.
 *
 * S1  A sender never has more than its credit in flight; credit comes back as the far side consumes.
 * S2  Body bytes arrive in order and complete, or the stream is reset: DATA and END carry their offset.
 * S3  After `reset`, or after both directions have ended, neither side calls the other again.
 */
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import { CREDIT_BYTES, FLAG, resetBytes, TYPE } from '../../protocol/frames.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Lane } from './lane.ts';
import type { OpenPacket } from './request-lane.ts';
import type { Audience, Sealer } from './sealer.ts';
import type { StreamTable } from './stream-table.ts';

/** What a proxy can do with a stream. */
export interface Stream {
  /** The agent at the far side, once known. */
  readonly peer: string | undefined;
  sendInformational(head: string): void;
  sendResponse(head: string, last: boolean): void;
  /** Takes all of `chunk` (copied, or sent, before it returns). False: send no more before `streamWritable`. */
  sendData(chunk: Buffer): boolean;
  /** Ends this direction; `trailers` is field text or ''. */
  sendEnd(trailers: string): void;
  /** Ends both directions at once. The handler is not called again. */
  reset(code: ErrorCode, details: string): void;
  /** Says that `bytes` of received body have left this agent, so that the far side may send as many again. */
  consumed(bytes: number): void;
  /**
   * Says that the proxy is done with the stream: what it has sent still goes out, what still comes is dropped, and
   * the far side is told so if it has not ended. The handler is not called again.
   */
  release(): void;
  /**
   * Server, before anything else: from now on what is sent is signed, and only what is signed, and about `service`, is taken.
   * @throws WeftError `evidence_missing` if the packet of the request is not
   */
  requireEvidence(service: string): void;
}

/** What a stream tells its proxy. The opener's handler gets heads; the server's does not. */
export interface StreamHandler {
  streamInformational(head: string): void;
  streamResponse(head: string, last: boolean): void;
  /** The chunk belongs to the handler from now on. */
  streamData(chunk: Buffer): void;
  streamEnd(trailers: string): void;
  streamReset(error: WeftError): void;
  streamWritable(): void;
}

/** Hears nothing: for a stream that is over, or that nobody has taken yet. */
export const DEAF: StreamHandler = Object.freeze({
  streamInformational() {},
  streamResponse() {},
  streamData() {},
  streamEnd() {},
  streamReset() {},
  streamWritable() {},
});

/** What a stream asks of the link. */
export interface StreamOwner {
  /** The stream is over. */
  forget(stream: LinkStream): void;
  now(): number;
  /** Takes `bytes` out of what all windows together may grow by; false if that is used up. Negative: gives back. */
  growWindows(bytes: number): boolean;
  /** Why the packet that is being read is no evidence about a service, in words; undefined if it is. */
  evidenceFault(service: string): string | undefined;
}

/** A stream that this agent opened: what it asked for. */
export interface OpenedOrigin {
  readonly service: string;
  readonly instance: string | undefined;
  /** To seal what it sends first: the one agent's, or that of the service. */
  readonly sealer: Sealer;
  /** The service, if all of the stream has to be signed. */
  readonly evidence: string | undefined;
}

/** A stream that a peer opened here: where it is kept, the way back, and whether the request was all head. */
export interface ServedOrigin {
  readonly streams: StreamTable<LinkStream>;
  readonly lane: Lane;
  readonly last: boolean;
}

export class LinkStream implements Stream {
  readonly id: number;
  /** Opener: the service that was asked; only who is entitled to it may answer. */
  readonly service: string;
  /** Opener: the one agent that was asked, unless any endpoint may take it. */
  readonly instance: string | undefined = undefined;
  /** Opener: who can open what it sent first. */
  readonly #audience: Audience | undefined = undefined;
  /** Server: the streams of the peer that opened it. */
  readonly servedFor: StreamTable<LinkStream> | undefined = undefined;
  /** In its table. */
  place = 0;
  readonly startedMs: number;
  /** Number of the packet that carried the request, to tell which streams "no responders" is about. */
  packetNumber = 0;
  /** The service that all packets of the stream have to be evidence about; undefined if they need not be. */
  evidence: string | undefined = undefined;
  /** True when the side that serves has shown in any way that it has the request. */
  acknowledged = false;
  /** Opener: since when the bus is known to have the request, by the clock of the ticks. */
  onBusMs: number | undefined;

  readonly #owner: StreamOwner;
  readonly #flags: number;
  #handler: StreamHandler;
  #lane: Lane | undefined;
  #packet: OpenPacket | undefined;
  #sendCredit: number = LIMITS.streamWindowBytes;
  #sendOffset = 0;
  #held: Buffer[] = [];
  #heldEnd: string | undefined;
  #receiveCredit: number = LIMITS.streamWindowBytes;
  #receiveOffset = 0;
  /** How much the far side may have in flight; it grows while that is what holds the stream up. */
  #window: number = LIMITS.streamWindowBytes;
  #consumed = 0;
  #creditedMs = 0;
  #sentLast = false;
  #receivedLast = false;
  #closed = false;
  #informed = 0;
  #responded = false;
  #released = false;
  #movedBefore = 0;
  #movedMs: number;

  constructor(
    owner: StreamOwner,
    id: number,
    origin: OpenedOrigin | ServedOrigin,
    handler: StreamHandler,
    startedMs: number,
  ) {
    this.#owner = owner;
    this.id = id;
    this.#handler = handler;
    this.startedMs = startedMs;
    this.#movedMs = startedMs;
    if ('streams' in origin) {
      this.#flags = 0;
      this.service = '';
      this.servedFor = origin.streams;
      this.#lane = origin.lane;
      this.#receivedLast = origin.last;
    } else {
      this.#flags = FLAG.OPENER;
      this.service = origin.service;
      this.instance = origin.instance;
      this.evidence = origin.evidence;
      this.#audience = origin.sealer.audience;
    }
  }

  get peer(): string | undefined {
    return this.#lane?.agent;
  }

  /** The lane to the agent process that has this stream; undefined while any endpoint may still take it. */
  get lane(): Lane | undefined {
    return this.#lane;
  }

  /** Opener: the process that has it, or the only one that can take it; undefined while any endpoint may. */
  get process(): Audience | undefined {
    if (this.#lane !== undefined) return this.#lane.sealer.audience;
    return this.#audience?.toService === false ? this.#audience : undefined;
  }

  /** Opener: true once the response head is there. */
  get responded(): boolean {
    return this.#responded;
  }

  /** Opener: writes the request head into `packet`, which may still take body bytes until it leaves. */
  open(packet: OpenPacket, head: string, last: boolean): void {
    this.#packet = packet;
    this.#sentLast = last;
    packet.writer.text(TYPE.REQUEST, FLAG.OPENER | (last ? FLAG.LAST : 0), this.id, head);
  }

  /** Opener: the packet that held the request has left; what comes next needs to know the far side. */
  departed(packetNumber: number): void {
    this.#packet = undefined;
    this.packetNumber = packetNumber;
  }

  /** Binds the stream to the agent process that has it and sends what was waiting for that. */
  bind(lane: Lane): void {
    if (this.#lane !== undefined) return;
    this.#lane = this.evidence === undefined ? lane : lane.signing(this.evidence);
    this.#sendHeld();
  }

  /** Server: replaces the placeholder handler by the proxy's. */
  serveWith(handler: StreamHandler): void {
    this.#handler = handler;
  }

  requireEvidence(service: string): void {
    this.evidence = service;
    this.#lane = this.#lane?.signing(service);
    const fault = this.#owner.evidenceFault(service);
    if (fault !== undefined) {
      throw new WeftError(
        'evidence_missing',
        `${service} takes only signed packets (TrafficPolicy): ${fault}`,
      );
    }
  }

  sendAccept(): void {
    this.acknowledged = true;
    this.#lane?.writer(0).accept(this.#flags, this.id);
  }

  /** Sends a frame without effect, for the sake of what goes along with its packet. */
  sendNothing(): void {
    if (!this.#closed) this.#lane?.writer(CREDIT_BYTES).credit(this.#flags, this.id, 0);
  }

  sendInformational(head: string): void {
    if (this.#closed || head.length > (this.#lane?.frameBytesMax ?? 0)) return;
    this.#lane?.writer(head.length).text(TYPE.INFORMATIONAL, this.#flags, this.id, head);
  }

  sendResponse(head: string, last: boolean): void {
    if (this.#closed) return;
    if (head.length > (this.#lane?.frameBytesMax ?? 0)) {
      this.failBoth(
        new WeftError('upstream_protocol', `NATS takes no response head of ${head.length} bytes`),
      );
      return;
    }
    this.acknowledged = true;
    this.#lane?.writer(head.length).text(TYPE.RESPONSE, this.#flags | (last ? FLAG.LAST : 0), this.id, head);
    if (last) this.#ended('sent');
  }

  sendData(chunk: Buffer): boolean {
    if (this.#closed || this.#sentLast) return true;
    const sent = this.#held.length === 0 ? this.#transmit(chunk, 0) : 0;
    if (sent < chunk.length) this.#held.push(Buffer.from(chunk.subarray(sent)));
    return this.#held.length === 0 && this.#sendCredit > 0;
  }

  sendEnd(trailers: string): void {
    if (this.#closed || this.#sentLast) return;
    if (this.#held.length > 0 || (this.#lane === undefined && this.#packet === undefined)) {
      this.#heldEnd = trailers;
      return;
    }
    this.#transmitEnd(trailers);
  }

  consumed(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < this.#window / 2 || this.#closed || this.#receivedLast) return;
    const nowMs = this.#owner.now();
    const credit = this.#consumed + this.#growth(nowMs);
    this.#creditedMs = nowMs;
    this.#lane?.writer(CREDIT_BYTES).credit(this.#flags, this.id, credit);
    this.#receiveCredit += credit;
    this.#consumed = 0;
  }

  /** A reader that takes half a window within moments waits for credit more than for data: it gets more. */
  #growth(nowMs: number): number {
    const step = Math.min(this.#window, LIMITS.streamWindowMaxBytes - this.#window);
    if (step <= 0 || nowMs - this.#creditedMs > LIMITS.windowGrowthMs) return 0;
    if (!this.#owner.growWindows(step)) return 0;
    this.#window += step;
    return step;
  }

  reset(code: ErrorCode, details: string): void {
    if (this.#closed) return;
    this.#lane?.writer(resetBytes(code, details)).reset(this.#flags, this.id, code, details);
    this.#close();
  }

  release(): void {
    if (this.#closed) return;
    this.#handler = DEAF;
    this.#released = true;
    if (this.#sentLast || this.servedFor === undefined) this.reset('cancelled', 'the response is complete');
  }

  /** How long no body byte has gone either way, in milliseconds; measured from call to call. */
  idleMs(nowMs: number): number {
    const moved = this.#sendOffset + this.#receiveOffset;
    if (moved !== this.#movedBefore) {
      this.#movedBefore = moved;
      this.#movedMs = nowMs;
    }
    return nowMs - this.#movedMs;
  }

  /** The far side, the bus or the clock ended the stream. */
  fail(error: WeftError): void {
    if (this.#closed) return;
    this.#close();
    this.#handler.streamReset(error);
  }

  receivedInformational(head: string): void {
    if (this.#responded) return this.#violated('an informational response after the response');
    this.#informed += 1;
    if (this.#informed > LIMITS.informationalMax) {
      return this.#violated(`over ${LIMITS.informationalMax} informational responses`);
    }
    this.#handler.streamInformational(head);
  }

  receivedResponse(head: string, last: boolean): void {
    if (this.#responded) return this.#violated('a second response');
    this.#responded = true;
    if (last) this.#ended('received');
    this.#handler.streamResponse(head, last);
  }

  receivedData(offset: number, chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#receivedLast) return this.#violated('data after the end');
    if (offset !== this.#receiveOffset) return this.#lost(offset);
    this.#receiveOffset += chunk.length;
    this.#receiveCredit -= chunk.length;
    if (this.#receiveCredit < 0) return this.#violated('more data than credit');
    if (chunk.length === 0) return this.#violated('data without a byte');
    this.#handler.streamData(chunk);
  }

  receivedEnd(offset: number, trailers: string): void {
    if (this.#closed) return;
    if (this.#receivedLast) return this.#violated('a second end');
    if (offset !== this.#receiveOffset) return this.#lost(offset);
    this.#ended('received');
    this.#handler.streamEnd(trailers);
  }

  receivedCredit(bytes: number): void {
    this.#sendCredit += bytes;
    if (this.#sendCredit > LIMITS.streamWindowMaxBytes)
      return this.#violated('more credit than a window holds');
    this.#sendHeld();
  }

  /** Sends as much of `chunk` from `from` on as credit and address allow; returns the index it got to. */
  #transmit(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && this.#sendCredit > 0) {
      const wanted = Math.min(chunk.length - at, this.#sendCredit);
      const bytes =
        this.#lane !== undefined
          ? Math.min(wanted, this.#lane.frameBytesMax)
          : Math.min(wanted, this.#packet?.space ?? 0);
      if (bytes <= 0) break;
      const writer = this.#lane !== undefined ? this.#lane.writer(bytes) : this.#packet?.writer;
      writer?.data(this.#flags, this.id, this.#sendOffset, chunk.subarray(at, at + bytes));
      this.#sendOffset += bytes;
      this.#sendCredit -= bytes;
      at += bytes;
    }
    return at;
  }

  #transmitEnd(trailers: string): void {
    if (trailers.length > (this.#lane?.frameBytesMax ?? this.#packet?.space ?? 0)) {
      this.failBoth(new WeftError('stream_protocol', `NATS takes no trailers of ${trailers.length} bytes`));
      return;
    }
    const writer = this.#lane !== undefined ? this.#lane.writer(trailers.length) : this.#packet?.writer;
    writer?.end(this.#flags, this.id, this.#sendOffset, trailers);
    this.#ended('sent');
  }

  /** Sends what has waited for credit or for the far side's address. */
  #sendHeld(): void {
    const wasHeld = this.#held.length > 0;
    while (this.#held.length > 0) {
      const chunk = this.#held[0] as Buffer;
      const sent = this.#transmit(chunk, 0);
      if (sent < chunk.length) {
        this.#held[0] = chunk.subarray(sent);
        return;
      }
      this.#held.shift();
    }
    if (this.#heldEnd !== undefined) {
      const trailers = this.#heldEnd;
      this.#heldEnd = undefined;
      this.#transmitEnd(trailers);
    } else if (!this.#sentLast && (wasHeld || this.#sendOffset > 0) && this.#sendCredit > 0) {
      this.#handler.streamWritable();
    }
  }

  /** The last call of the handler comes after this, so that what it does finds the stream as it is. */
  #ended(direction: 'sent' | 'received'): void {
    if (direction === 'sent') this.#sentLast = true;
    else this.#receivedLast = true;
    if (this.#sentLast && this.#receivedLast) this.#close();
    else if (this.#sentLast && this.#released) this.reset('cancelled', 'the response is complete');
  }

  #violated(what: string): void {
    this.failBoth(new WeftError('stream_protocol', `the agent ${this.peer} sent ${what}`));
  }

  #lost(offset: number): void {
    const details = `body byte ${this.#receiveOffset} was expected and byte ${offset} came`;
    this.failBoth(new WeftError('stream_lost', details));
  }

  /** Ends the stream and tells both sides why. */
  failBoth(error: WeftError): void {
    if (this.#closed) return;
    this.reset(error.code, error.message);
    this.#handler.streamReset(error);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#held = [];
    this.#heldEnd = undefined;
    this.#owner.growWindows(LIMITS.streamWindowBytes - this.#window);
    this.#owner.forget(this);
  }
}
