import test from 'ava';
import { type Child, supervise } from '../../src/cli/supervise.ts';

/** A child that ends when it is told to. */
function fakeChild() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const child: Child = { exited: promise, signal: (name) => resolve(name) };
  return { child, end: resolve };
}

test('a process that ends is started again, and that is said', async (t) => {
  const [first, second] = [fakeChild(), fakeChild()];
  const started = Promise.withResolvers<void>();
  const said: string[] = [];
  const start = async () => {
    started.resolve();
    return second.child;
  };
  const supervised = supervise('bus', first.child, start, (what) => said.push(what));
  supervised.established();
  first.end('exit code 7');
  await started.promise;
  t.deepEqual(said, ['bus ended (exit code 7); starting again in 250 ms']);
  await supervised.stop(1_000);
  t.is(await second.child.exited, 'SIGTERM');
});

test('a process that ends before it ever worked is not started again', async (t) => {
  const { child, end } = fakeChild();
  const start = () => Promise.reject(new Error('started again'));
  const supervised = supervise('agent web-1', child, start, t.fail);
  end('exit code 1');
  await t.throwsAsync(supervised.failed, { message: /^agent web-1 ended at start \(exit code 1\)/ });
  await supervised.stop(0);
});

test('a process that is stopped stays stopped, also out of the back-off', async (t) => {
  const { child, end } = fakeChild();
  const waiting = Promise.withResolvers<void>();
  const start = () => Promise.reject(new Error('started again'));
  const supervised = supervise('bus', child, start, () => waiting.resolve());
  supervised.established();
  end('SIGKILL');
  await waiting.promise;
  await supervised.stop(0);
  t.pass();
});

test('a process that does not end by SIGTERM is killed after its grace', async (t) => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const signals: string[] = [];
  const signal = (name: NodeJS.Signals) => {
    signals.push(name);
    if (name === 'SIGKILL') resolve(name);
  };
  const start = () => Promise.reject(new Error('started again'));
  await supervise('deaf', { exited: promise, signal }, start, t.fail).stop(1);
  t.deepEqual(signals, ['SIGTERM', 'SIGKILL']);
});
