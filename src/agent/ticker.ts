/** How many periods a clock that is behind gains at each tick, beside the one that has passed. */
const CATCH_UP = 1;

/**
 * One timer for everything that waits: it runs only while there is something to look after.
 *
 * Its clock does not jump. When this process did not run for a while (stopped, or its virtual machine was), the
 * answers of that time still lie in the sockets: nobody may be given up for them before they could be read. So
 * the clock falls behind by such a pause, and gains on the time little by little.
 */
export class Ticker {
  readonly #periodMs: number;
  readonly #now: () => number;
  /** Is given the time in milliseconds, at most a pause behind `now`. Returns true while it has to be called again. */
  readonly #tick: (nowMs: number) => boolean;
  #timer: NodeJS.Timeout | undefined;
  #clockMs = 0;

  constructor(periodMs: number, now: () => number, tick: (nowMs: number) => boolean) {
    this.#periodMs = periodMs;
    this.#now = now;
    this.#tick = tick;
  }

  /** Starts the timer unless it runs. */
  wake(): void {
    if (this.#timer !== undefined) return;
    this.#clockMs = this.#now();
    this.#timer = setInterval(() => this.turn(), this.#periodMs);
  }

  /** What the timer does every period. */
  turn(): void {
    this.#clockMs = Math.min(this.#now(), this.#clockMs + (1 + CATCH_UP) * this.#periodMs);
    if (!this.#tick(this.#clockMs)) this.stop();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
