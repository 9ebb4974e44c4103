import test from 'ava';
import { Ticker } from '../../src/agent/ticker.ts';

/** A ticker of 10 ms whose timer is turned by hand; `seen` is the time that each tick was given. */
function tickerAt(startMs: number) {
  let nowMs = startMs;
  const seen: number[] = [];
  const ticker = new Ticker(
    10,
    () => nowMs,
    (at) => seen.push(at) > 0,
  );
  ticker.wake();
  const turnAt = (ms: number) => {
    nowMs = ms;
    ticker.turn();
  };
  const rest = (untilMs: number) => {
    ticker.stop();
    nowMs = untilMs;
    ticker.wake();
  };
  return { ticker, seen, turnAt, rest };
}

test('a tick is given the time', (t) => {
  const { ticker, seen, turnAt } = tickerAt(100);
  t.teardown(() => ticker.stop());
  for (const ms of [110, 121, 130]) turnAt(ms);
  t.deepEqual(seen, [110, 121, 130]);
});

test('a pause of the process is no time that anybody has waited, and is made up for little by little', (t) => {
  const { ticker, seen, turnAt } = tickerAt(100);
  t.teardown(() => ticker.stop());
  for (const ms of [110, 5_000, 5_010, 5_020]) turnAt(ms);
  t.deepEqual(seen, [110, 130, 150, 170]);
  for (let ms = 5_030; ms <= 10_000; ms += 10) turnAt(ms);
  t.is(seen.at(-1), 10_000);
});

test('a ticker that was at rest begins with the time as it is', (t) => {
  const { ticker, seen, turnAt, rest } = tickerAt(100);
  t.teardown(() => ticker.stop());
  turnAt(110);
  rest(9_000);
  turnAt(9_010);
  t.deepEqual(seen, [110, 9_010]);
});
