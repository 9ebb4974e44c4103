import { BoundedMap } from '../../protocol/bounded-map.ts';
import { evidenceFrameBytes, FRAME_OVERHEAD_BYTES, FrameWriter } from '../../protocol/frames.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Outbox } from './outbox.ts';
import type { Sealer } from './sealer.ts';

/** Frames to one agent process, on its `rx` subject. What is signed has lanes beside it, one for each service. */
export class Lane {
  readonly agent: string;
  /** Of the lanes to this process the one for what is not signed: this one, or the one that it stands beside. */
  readonly main: Lane;
  /** What its packets are evidence about; undefined: they are not signed. */
  readonly #service: string | undefined;
  #signing: BoundedMap<string, Lane> | undefined;
  readonly #subject: string;
  readonly #sealer: Sealer;
  readonly #outbox: Outbox;
  readonly #writer = new FrameWriter();
  #waiting = false;

  constructor(agent: string, subject: string, sealer: Sealer, outbox: Outbox, main?: Lane, service?: string) {
    this.agent = agent;
    this.main = main ?? this;
    this.#service = service;
    this.#subject = subject;
    this.#sealer = sealer;
    this.#outbox = outbox;
  }

  get sealer(): Sealer {
    return this.#sealer;
  }

  /** The largest payload of a frame, in bytes. */
  get frameBytesMax(): number {
    const evidence = this.#service === undefined ? 0 : evidenceFrameBytes(this.#service);
    return this.#outbox.packetBytesMax(this.#sealer) - FRAME_OVERHEAD_BYTES - evidence;
  }

  /** The lane to the same process for what is signed, and about `service`. */
  signing(service: string): Lane {
    const { main } = this;
    main.#signing ??= new BoundedMap(LIMITS.signedLanesMax);
    let lane = main.#signing.get(service);
    if (lane === undefined) {
      lane = new Lane(main.agent, main.#subject, main.#sealer, main.#outbox, main, service);
      main.#signing.set(service, lane);
    }
    return lane;
  }

  /** The packet under construction, with room for a frame whose payload has `bytes`; it leaves at the end of the turn. */
  writer(bytes: number): FrameWriter {
    if (this.#writer.length > 0 && this.#writer.length + bytes > this.frameBytesMax) this.#depart();
    this.#outbox.frame(this, this.#waiting);
    this.#waiting = true;
    if (this.#service !== undefined && this.#writer.length === 0) this.#writer.evidence(this.#service);
    return this.#writer;
  }

  flush(): void {
    this.#waiting = false;
    this.#depart();
  }

  #depart(): void {
    if (this.#writer.length === 0) return;
    const counter = this.#outbox.counter.next();
    this.#outbox.publish(
      this.#subject,
      this.#sealer,
      counter,
      this.#writer.bytes(),
      this.#service !== undefined,
    );
    this.#writer.clear();
  }
}
