/**
 * The tries of one thing that is sent, the request itself or the question whether it may go on: where the last one went,
 * how long it may take, and when the next one is due.
 *
 *   open ─▶ under way ──▶ answered: whoever sends it knows
 *    ▲          └──▶ failed, or its time is over ──▶ may it be repeated? ──▶ wait ──┐
 *    └──────────────────────────────────────────────────────────────────────────────┘
 */
import { WeftError } from '../../protocol/errors.ts';
import { encodeRequestHead, type WireRequestHead } from '../../protocol/head.ts';
import { isIdempotent } from '../../protocol/idempotent.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import type { Stream, StreamHandler } from '../link/stream.ts';
import type { OutboundParts } from './proxy.ts';
import { NEVER } from './request-clock.ts';
import { backoffMs } from './retry.ts';

/** Whose tries they are: hears of the stream of each, and is told when the next one is due. */
export interface Sender extends StreamHandler {
  sendAgain(): void;
}

export class Attempts {
  /** Of the one under way. */
  stream: Stream | undefined;
  count = 0;
  readonly #parts: OutboundParts;
  readonly #sender: Sender;
  /** Where the last one went; undefined: the bus has picked. */
  #endpoint: PeerIdentity | undefined;
  /** How long one may take, and when that is over for the one under way. */
  #limitMs = 0;
  #untilMs = NEVER;
  #againAtMs = NEVER;

  constructor(parts: OutboundParts, sender: Sender) {
    this.#parts = parts;
    this.#sender = sender;
  }

  /**
   * Starts the clock of the next one, which may take `limitMs` (0: not bounded) and has to be over at `untilMs`. Returns
   * the time that it has; undefined if that is not bounded.
   */
  startClock(limitMs: number, untilMs: number): number | undefined {
    const nowMs = this.#parts.now();
    this.#limitMs = limitMs;
    this.#untilMs = limitMs > 0 ? nowMs + limitMs : NEVER;
    const endMs = Math.min(untilMs, this.#untilMs);
    return endMs === NEVER ? undefined : endMs - nowMs;
  }

  /** A conversation, other than a response, may take as long as it likes. */
  stopClock(): void {
    this.#untilMs = NEVER;
  }

  /**
   * Sends the head to `preferred`, else to the endpoint that the balancer picks, after a failure another one. `last`: there is
   * nothing but the head. Throws WeftError('bus_down').
   */
  open(head: WireRequestHead, last: boolean, preferred?: PeerIdentity): Stream {
    const { balancer, open } = this.#parts;
    const { service, method } = head;
    const isFirst = this.count === 0;
    this.count += 1;
    const repeatable = isIdempotent(method);
    this.#endpoint =
      preferred ??
      (isFirst
        ? balancer.pick(service, repeatable)
        : balancer.pickOther(service, repeatable, this.#endpoint));
    const stream = open(service, this.#endpoint, encodeRequestHead(head), last, this.#sender);
    this.stream = stream;
    return stream;
  }

  /** Has it sent once more in a while, but not before `leastMs`. */
  repeat(leastMs: number): void {
    this.stream = undefined;
    const { now, random } = this.#parts;
    this.#againAtMs = now() + leastMs + backoffMs(this.count - 1, random);
  }

  /** True if it is these tries that are waited for: one is to come, or has just been given up. */
  tick(nowMs: number): boolean {
    if (this.#againAtMs !== NEVER) {
      // By the real time: while the clock of the ticks lags behind, no pause has to be made longer.
      if (this.#parts.now() < this.#againAtMs) return true;
      this.#againAtMs = NEVER;
      this.#sender.sendAgain();
      return true;
    }
    if (nowMs < this.#untilMs || this.stream === undefined) return false;
    const within = `within the ${this.#limitMs} ms that it is allowed`;
    const error = new WeftError('deadline', `the backend's response was not complete ${within}`);
    this.stream.reset(error.code, error.message);
    this.#sender.streamReset(error);
    return true;
  }

  /** Whoever has it need send no more of it. */
  release(): void {
    this.stream?.release();
    this.stream = undefined;
  }
}
