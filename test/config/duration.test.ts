import test from 'ava';
import fc from 'fast-check';
import { parseDuration } from '../../src/protocol/duration.ts';
import { nearestWord } from '../../src/protocol/nearest-word.ts';

test('durations follow GEP-2257', (t) => {
  t.is(parseDuration('0s'), 0);
  t.is(parseDuration('500ms'), 500);
  t.is(parseDuration('1h30m'), 5_400_000);
  t.is(parseDuration('1m1s1ms'), 61_001);
  for (const wrong of ['', '1', '1.5h', '-1s', '1 s', '100000s', '1d', '1h1h1h1h1h', 's', '1S']) {
    t.is(parseDuration(wrong), undefined, wrong);
  }
});

test('the parts of a duration add up', (t) => {
  const amount = fc.integer({ min: 0, max: 99_999 });
  fc.assert(
    fc.property(amount, amount, amount, amount, (h, m, s, ms) => {
      t.is(parseDuration(`${h}h${m}m${s}s${ms}ms`), h * 3_600_000 + m * 60_000 + s * 1_000 + ms);
    }),
  );
});

test('the nearest word is near', (t) => {
  const known = ['service', 'upstream', 'listen', 'health', 'labels'];
  t.is(nearestWord('upstrem', known), 'upstream');
  t.is(nearestWord('Listen', known), 'listen');
  t.is(nearestWord('lables', known), 'labels');
  t.is(nearestWord('quux', known), undefined);
  t.is(nearestWord('x'.repeat(1_000), known), undefined);
});
