/**
 * Which requests an agent has left lying, as opposed to those that a bus that stands still holds up. A request is
 * given up when nobody has acknowledged it for `acceptTimeoutMs`; half of that has to have passed since the bus has
 * answered a ping that left after it: then the bus has had it, and what the bus had for us has been read.
 */
import { LIMITS } from '../../protocol/limits.ts';
import type { LinkStream } from './stream.ts';

const HALF_MS = LIMITS.acceptTimeoutMs / 2;

export interface AcceptanceParts {
  /** Resolves when the bus has processed what was sent; rejects if it is lost. */
  readonly ping: () => Promise<void>;
  /** Visits the streams that were opened here. */
  readonly visit: (visit: (stream: LinkStream) => void) => void;
}

export class Acceptance {
  readonly #parts: AcceptanceParts;
  /** By the clock of the ticks. */
  #nowMs = 0;
  #pinging = false;

  constructor(parts: AcceptanceParts) {
    this.#parts = parts;
  }

  /** True if it is to be given up. A bus that never answers is found out by the bus's own pings. */
  isOverdue(stream: LinkStream, nowMs: number): boolean {
    this.#nowMs = nowMs;
    const waitedMs = nowMs - stream.startedMs;
    if (stream.acknowledged || waitedMs < HALF_MS) return false;
    if (stream.onBusMs === undefined) {
      this.#ping();
      return false;
    }
    return waitedMs > LIMITS.acceptTimeoutMs && nowMs - stream.onBusMs >= HALF_MS;
  }

  /** One for all that have waited this long by now; they have left long ago. */
  #ping(): void {
    if (this.#pinging) return;
    this.#pinging = true;
    const leftByMs = this.#nowMs - HALF_MS;
    const answered = () => {
      this.#pinging = false;
      this.#parts.visit((stream) => {
        if (stream.startedMs <= leftByMs) stream.onBusMs ??= this.#nowMs;
      });
    };
    this.#parts.ping().then(answered, () => {
      this.#pinging = false;
    });
  }
}
