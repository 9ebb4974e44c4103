import { FRAME_OVERHEAD_BYTES, FrameWriter } from '../../protocol/frames.ts';
import type { Outbox } from './outbox.ts';
import type { Sealer } from './sealer.ts';

/** Frames to one agent process, on its `rx` subject. */
export class Lane {
  readonly agent: string;
  readonly #subject: string;
  readonly #sealer: Sealer;
  readonly #outbox: Outbox;
  readonly #writer = new FrameWriter();
  #waiting = false;

  constructor(agent: string, subject: string, sealer: Sealer, outbox: Outbox) {
    this.agent = agent;
    this.#subject = subject;
    this.#sealer = sealer;
    this.#outbox = outbox;
  }

  get sealer(): Sealer {
    return this.#sealer;
  }

  /** The largest payload of a frame, in bytes. */
  get frameBytesMax(): number {
    return this.#outbox.packetBytesMax(this.#sealer) - FRAME_OVERHEAD_BYTES;
  }

  /** The packet under construction, with room for a frame whose payload has `bytes`; it leaves at the end of the turn. */
  writer(bytes: number): FrameWriter {
    if (this.#writer.length > 0 && this.#writer.length + bytes > this.frameBytesMax) this.#depart();
    this.#outbox.frame(this, this.#waiting);
    this.#waiting = true;
    return this.#writer;
  }

  flush(): void {
    this.#waiting = false;
    this.#depart();
  }

  #depart(): void {
    if (this.#writer.length === 0) return;
    const counter = this.#outbox.counter.next();
    this.#outbox.publish(this.#subject, this.#sealer, counter, this.#writer.bytes());
    this.#writer.clear();
  }
}
