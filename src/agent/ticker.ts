/** One timer for everything that waits: it runs only while there is something to look after. */
export class Ticker {
  readonly #periodMs: number;
  /** Returns true while it has to be called again. */
  readonly #tick: () => boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(periodMs: number, tick: () => boolean) {
    this.#periodMs = periodMs;
    this.#tick = tick;
  }

  /** Starts the timer unless it runs. */
  wake(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => {
      if (!this.#tick()) this.stop();
    }, this.#periodMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
