import test from 'ava';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { fakeController } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

const fine = { name: 'clocks', result: 'ok', message: 'all within 1000 ms', advice: '' };

test('check shows what is seen from here and what the controller sees, each with what to do', async (t) => {
  const slow = {
    name: 'versions',
    result: 'warning',
    message: 'agents run 1, 2',
    advice: 'bring all to one',
  };
  const { weft } = await fakeController(t, nats.url, { check: () => ({ checks: [fine, slow] }) });
  const { code, stdout } = await weft(['check']);
  t.is(code, 0, 'a warning is no failure');
  const lines = stdout.split('\n');
  t.regex(lines[0]!, /^ok {7}release {2}weft \d+\.\d+\.\d+, Node\.js \d+.*, nats-server 2\.\d+/);
  t.regex(lines[1]!, /^ok {7}nats {2}127\.0\.0\.1:\d+, round trip \d+\.\d ms$/);
  t.regex(lines[2]!, /^ok {7}jetstream {2}enabled/);
  t.deepEqual(lines.slice(3), [
    'ok       clocks  all within 1000 ms',
    'warning  versions  agents run 1, 2 — bring all to one',
  ]);
  t.is(JSON.parse((await weft(['check', '-o', 'json'])).stdout).checks.length, 5);
});

test('anything that has failed is exit code 1', async (t) => {
  const failed = { name: 'agents connected', result: 'failed', message: 'app-1 went', advice: 'look' };
  const { weft } = await fakeController(t, nats.url, { check: () => ({ checks: [fine, failed] }) });
  const { code, stdout } = await weft(['check']);
  t.is(code, 1);
  t.regex(stdout, /^failed {3}agents connected {2}app-1 went — look$/m);
});

test('a mesh without a controller has failed, and it is said how to start one', async (t) => {
  const { weft } = await fakeController(t, nats.url, {});
  const { code, stdout } = await weft(['check']);
  t.is(code, 1);
  t.regex(stdout, /^failed {3}controller {2}NATS at \S+ answers, but .* — start one with `weft controller/m);
});

test('a bus that cannot be reached is exit code 3, and its line is there all the same', async (t) => {
  const { weft } = await fakeController(t, nats.url, {});
  const { code, stdout } = await weft(['check', '--nats', 'nats://127.0.0.1:1']);
  t.is(code, 3);
  t.regex(
    stdout,
    /^failed {3}nats {2}cannot reach NATS at nats:\/\/127\.0\.0\.1:1 \(connection refused\) — does it/,
  );
});
