import test from 'ava';
import { createTestCount } from '../../scripts/test-count.ts';

const countOf = (output: string) => {
  const count = createTestCount();
  for (const line of output.split('\n')) count.add(line);
  return count.total();
};

test('passed and failed tests are counted from what AVA prints, with colours too', (t) => {
  const output =
    '  ✔ a › one\n  \u001b[32m✔\u001b[39m a › two\n  ✘ [fail]: a › three Error\n  - [skip] a › four\n  ─\n  1 test failed';
  t.deepEqual(countOf(output), { passed: 2, failed: 1 });
});

test('a file that exits, times out or holds no test is a failure', (t) => {
  t.is(
    countOf('  ✘ Exiting due to process.exit() when running b\n  ✘ b exited with a non-zero exit code: 3')
      .failed,
    1,
  );
  t.is(countOf('  ✘ Timed out while running tests').failed, 1);
  t.is(countOf('  ✘ No tests found in d, make sure to import "ava"').failed, 1);
});

test('what a test logs is not counted', (t) => {
  t.deepEqual(countOf('    ℹ   ✔ not a test\n5 tests passed'), { passed: 0, failed: 0 });
});
