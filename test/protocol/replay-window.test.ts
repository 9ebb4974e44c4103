import test from 'ava';
import fc from 'fast-check';
import { REPLAY_WINDOW, ReplayWindow } from '../../src/protocol/replay-window.ts';

/** The same rule, written with a set. */
class PlainWindow {
  #highest = 0;
  readonly #seen = new Set<number>();

  accept(counter: number): boolean {
    if (counter <= 0 || counter <= this.#highest - REPLAY_WINDOW || this.#seen.has(counter)) return false;
    this.#seen.add(counter);
    this.#highest = Math.max(this.#highest, counter);
    return true;
  }
}

const near = fc.integer({ min: 0, max: 3 * REPLAY_WINDOW });
const far = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const border = fc
  .tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: -2, max: 2 }))
  .map(([step, by]) => Math.max(0, step * 1024 + by));

test('the window decides as a set of all counters would', (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(near, near, border, far), { maxLength: 300 }), (counters) => {
      const window = new ReplayWindow();
      const plain = new PlainWindow();
      for (const counter of counters) {
        const seen = window.hasSeen(counter);
        const taken = window.accept(counter);
        if (taken !== plain.accept(counter) || seen === taken) t.fail(`differs at ${counter}`);
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('counters that arrive in order are taken once each', (t) => {
  const window = new ReplayWindow();
  let taken = 0;
  for (let counter = 1; counter <= 10_000; counter += 1) {
    if (window.accept(counter)) taken += 1;
    if (window.accept(counter)) t.fail(`${counter} twice`);
  }
  t.is(taken, 10_000);
});

test('a late counter is taken within the window and refused below it', (t) => {
  const highest = 2 ** 48 - 1;
  const window = new ReplayWindow();
  t.true(window.accept(highest));
  t.true(window.accept(highest - REPLAY_WINDOW + 1));
  t.false(window.accept(highest - REPLAY_WINDOW));
  t.false(window.accept(highest));
  t.false(window.accept(0));
});

test('the window is at least 2048 wide', (t) => {
  t.true(REPLAY_WINDOW >= 2048);
});
