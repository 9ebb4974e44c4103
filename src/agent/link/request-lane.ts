import { evidenceFrameBytes, FLAG, FRAME_OVERHEAD_BYTES, FrameWriter } from '../../protocol/frames.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { replySubject } from '../../protocol/subjects.ts';
import type { Outbox } from './outbox.ts';
import type { Sealer } from './sealer.ts';
import type { LinkStream } from './stream.ts';

/** A packet of new requests that has not left yet. */
export class OpenPacket {
  readonly writer = new FrameWriter();
  readonly streams: LinkStream[] = [];
  bytesMax = 0;

  /** Payload bytes that one more frame may have. */
  get space(): number {
    return this.bytesMax - FRAME_OVERHEAD_BYTES - this.writer.length;
  }
}

/**
 * New requests to one subject (`svc…` or `ins…`). With several endpoints behind it the requests of one turn
 * are dealt over several packets, so that coalescing does not pile a burst on one endpoint.
 */
export class RequestLane {
  /** The agent, if the subject is that of one endpoint. */
  readonly instance: string | undefined;
  readonly sealer: Sealer;
  /** The service, if all of its requests and their responses is to be evidence. */
  readonly evidence: string | undefined;
  /** The service that its packets are signed about. What is sealed for a service always is: nothing else shows who sends. */
  readonly #signed: string | undefined;
  readonly #subject: string;
  readonly #replies: string;
  readonly #outbox: Outbox;
  #packets: (OpenPacket | undefined)[] = [];
  #next = 0;
  #waiting = false;

  constructor(
    subject: string,
    replies: string,
    sealer: Sealer,
    outbox: Outbox,
    instance: string | undefined,
    evidence: string | undefined,
  ) {
    this.instance = instance;
    this.evidence = evidence;
    this.#subject = subject;
    this.#replies = replies;
    this.sealer = sealer;
    this.#outbox = outbox;
    const { name, toService } = sealer.audience;
    this.#signed = evidence ?? (toService ? name : undefined);
  }

  /** The largest head that the bus takes, in bytes. */
  get headBytesMax(): number {
    return this.#bytesMax - FRAME_OVERHEAD_BYTES;
  }

  /** Puts the request of `stream` into a packet of this turn; `spread` is how many endpoints share them. */
  open(stream: LinkStream, head: string, last: boolean, spread: number): void {
    const bytesMax = this.#bytesMax;
    this.#next = this.#next + 1 < Math.min(spread, LIMITS.packetSpreadMax) ? this.#next + 1 : 0;
    const packet = this.#packetAt(this.#next, head.length, bytesMax);
    packet.streams.push(stream);
    if (this.#signed !== undefined && packet.writer.length === 0) {
      packet.writer.evidence(this.#signed, this.evidence === undefined ? FLAG.ONE_WAY : 0);
    }
    this.#outbox.frame(this, this.#waiting);
    this.#waiting = true;
    stream.open(packet, head, last);
  }

  flush(): void {
    this.#waiting = false;
    for (let index = 0; index < this.#packets.length; index++) this.#depart(index);
  }

  /** Of all frames that a packet holds, but for its evidence. */
  get #bytesMax(): number {
    const evidence = this.#signed === undefined ? 0 : evidenceFrameBytes(this.#signed);
    return this.#outbox.packetBytesMax(this.sealer) - evidence;
  }

  #packetAt(index: number, bytes: number, bytesMax: number): OpenPacket {
    let packet = this.#packets[index];
    if (packet !== undefined && packet.streams.length > 0 && packet.space < bytes) this.#depart(index);
    packet ??= new OpenPacket();
    packet.bytesMax = bytesMax;
    this.#packets[index] = packet;
    return packet;
  }

  #depart(index: number): void {
    const packet = this.#packets[index];
    if (packet === undefined || packet.streams.length === 0) return;
    const number = this.#outbox.counter.next();
    for (const stream of packet.streams) stream.departed(number);
    packet.streams.length = 0;
    const reply = replySubject(this.#replies, number);
    const signed = this.#signed !== undefined;
    this.#outbox.publish(this.#subject, this.sealer, number, packet.writer.bytes(), signed, reply);
    packet.writer.clear();
  }
}
