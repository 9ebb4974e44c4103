import test from 'ava';
import { fuzzPaths } from './paths.ts';

test('whatever a path is, it has one reading for all applications or is refused', (t) => {
  const { inputs, taken } = fuzzPaths(2, 20_260_101);
  t.true(inputs > 1_000 && taken > 100, `${taken} of ${inputs}`);
});
