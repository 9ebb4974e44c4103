/**
 * Which counters of a sender session have been seen (RFC 6479, as IPsec and WireGuard do): a ring of bits behind
 * the highest counter. Whatever lies below the ring counts as seen.
 */

const WORD_BITS = 32;
/** One word more than the window, because the newest word is only partly in use (RFC 6479 §2). */
const WORDS = 2048 / WORD_BITS + 1;

/** Counters this far below the highest are still told apart. */
export const REPLAY_WINDOW = (WORDS - 1) * WORD_BITS;

export class ReplayWindow {
  #highest = 0;
  readonly #seen = new Uint32Array(WORDS);

  /** True for a counter that `accept` would refuse. */
  hasSeen(counter: number): boolean {
    if (counter <= 0 || counter + REPLAY_WINDOW <= this.#highest) return true;
    if (counter > this.#highest) return false;
    const slot = Math.floor(counter / WORD_BITS) % WORDS;
    return (this.#seen[slot]! & (1 << (counter % WORD_BITS))) !== 0;
  }

  /**
   * True the first time that a counter comes, and from then on false; false also for a counter that is too old
   * to tell. Only for packets that have been opened: a forged counter must not move the window.
   */
  accept(counter: number): boolean {
    if (this.hasSeen(counter)) return false;
    // Counters have 48 bits: no bit operators on them.
    const word = Math.floor(counter / WORD_BITS);
    if (counter > this.#highest) this.#advance(word, counter);
    const slot = word % WORDS;
    this.#seen[slot] = this.#seen[slot]! | (1 << (counter % WORD_BITS));
    return true;
  }

  #advance(word: number, counter: number): void {
    const current = Math.floor(this.#highest / WORD_BITS);
    const last = Math.min(word, current + WORDS);
    for (let next = current + 1; next <= last; next += 1) this.#seen[next % WORDS] = 0;
    this.#highest = counter;
  }
}
