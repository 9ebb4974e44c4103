import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { startNats } from '../kit/nats-server.ts';
import { fakeController } from './fake-controller.ts';

const WEFT = fileURLToPath(new URL('../../src/cli/weft.ts', import.meta.url));

/** A pipe takes 64 KiB before its reader does anything. */
const LONG = 'x'.repeat(400 * 1024);

async function longList(t: ExecutionContext) {
  const nats = await startNats();
  t.teardown(nats.stop);
  const item = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a', annotations: { long: LONG } },
    spec: {},
  };
  return fakeController(t, nats.url, { get: () => ({ items: [item] }) });
}

/** Only what it has to be told by: its streams are the test's to read, or not. */
function start(args: readonly string[], stdout: 'pipe' | number, cwd: string): ChildProcess {
  const env = { ...process.env, WEFT_CONTEXT: '' };
  return spawn(process.execPath, [WEFT, ...args], { cwd, env, stdio: ['ignore', stdout, 'pipe'] });
}

test('what is printed comes out as a whole, however slowly it is read', async (t) => {
  const { folder } = await longList(t);
  const weft = start(['get', 'all', '-o', 'json'], 'pipe', folder);
  t.teardown(() => weft.kill('SIGKILL'));
  // It is read from when there is something to read on; by then a command that does not wait has ended.
  const [code, printed] = await Promise.all([
    once(weft, 'exit').then(([code]) => code),
    once(weft.stdout!, 'readable').then(() => text(weft.stdout!)),
  ]);
  t.is(code, 0);
  t.is(JSON.parse(printed).items[0].metadata.annotations.long, LONG);
});

test('a reader that goes away early ends a command quietly', async (t) => {
  const { folder } = await longList(t);
  const weft = start(['get', 'all', '-o', 'json'], 'pipe', folder);
  t.teardown(() => weft.kill('SIGKILL'));
  weft.stdout!.destroy();
  const [said, [code]] = await Promise.all([text(weft.stderr!), once(weft, 'exit')]);
  t.is(said, '');
  t.is(code, 0);
});

test('stdout that cannot be written is a failure, and told', async (t) => {
  const full = await open('/dev/full', 'w');
  t.teardown(() => full.close());
  for (const args of [['--help'], ['completion', 'bash'], ['agent', '--help']]) {
    const weft = start(args, full.fd, '/');
    const [said, [code]] = await Promise.all([text(weft.stderr!), once(weft, 'exit')]);
    t.is(said, 'weft: stdout cannot be written (ENOSPC): what was printed is not whole\n', args.join(' '));
    t.is(code, 1);
  }
});
