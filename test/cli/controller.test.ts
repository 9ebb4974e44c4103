import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { TIMING } from '../../src/controller/limits.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { freePort } from '../kit/free-port.ts';
import { until } from '../kit/mesh.ts';
import { startNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

async function prepare(t: Parameters<typeof tempFolder>[0], { seed } = createRoot()) {
  const root = join(await tempFolder(t), 'root.nk');
  await writeFile(root, seed, { mode: 0o600 });
  const port = await freePort();
  const args = (nats: string, admin = port) => [
    'controller',
    '--mesh',
    'shop',
    '--nats',
    nats,
    '--root',
    root,
    '--admin',
    `127.0.0.1:${admin}`,
  ];
  const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200;
  return { args, port, ready };
}

test('controller waits for NATS, leads, and ends with exit code 0', async (t) => {
  const { args, ready } = await prepare(t);
  const natsPort = await freePort();
  const weft = startWeft(t, args(`nats://127.0.0.1:${natsPort}`));
  await weft.line(/NATS cannot be reached; trying again/);
  const nats = await startNats({ port: natsPort });
  t.teardown(() => nats.stop());
  await until(ready, 'it is ready');
  weft.child.kill('SIGTERM');
  t.is(await weft.exited, 0);
});

test('when one controller is killed, the other one leads within 5 s', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const shared = createRoot();
  const [one, two] = [await prepare(t, shared), await prepare(t, shared)];
  const first = startWeft(t, one.args(nats.url));
  await first.line(/"msg":"leading"/);
  const second = startWeft(t, two.args(nats.url));
  await until(two.ready, 'it stands by');
  first.child.kill('SIGKILL');
  await first.exited;
  await second.line(/"msg":"leading"/);
  t.true(
    TIMING.leaseMs + 2 * TIMING.leaseRenewMs <= 5_000,
    'a lease unchanged, seen and claimed a look later',
  );
});

test('a password in --nats is refused, and stands nowhere in what the controller says', async (t) => {
  const { args } = await prepare(t);
  const weft = startWeft(t, args(`nats://ada:hunter2@127.0.0.1:${await freePort()}`));
  t.is(await weft.exited, 2);
  t.regex(weft.stderr(), /--nats: expected nats:\/\/host:port .*--creds/);
  t.false(`${weft.stdout()}${weft.stderr()}`.includes('hunter2'));
});

test('an admin address that is taken is told with the option to change', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { args, port } = await prepare(t);
  const holder = createServer().listen(port, '127.0.0.1');
  t.teardown(() => holder.close());
  await once(holder, 'listening');
  const second = startWeft(t, args(nats.url));
  t.is(await second.exited, 1);
  const told = `weft: the admin address 127.0.0.1:${port} is taken, by another controller perhaps: name another address with --admin`;
  t.true(second.stderr().includes(told), second.stderr());
});

test('a controller with the root of another mesh ends before it has written anything, and says what to do', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const [one, two] = [await prepare(t), await prepare(t)];
  const first = startWeft(t, one.args(nats.url));
  await first.line(/"msg":"leading"/);
  const second = startWeft(t, two.args(nats.url));
  t.is(await second.exited, 1);
  t.regex(
    second.stderr(),
    /the buckets of mesh shop are those of another root: it has signed weft-shop-state journal.*nothing was changed.*--root/,
  );
  t.notRegex(first.stderr(), /somebody else writes|no longer leading/);
});

test('what is wrong with its options is said, with exit code 2', async (t) => {
  const { args } = await prepare(t);
  const far = startWeft(t, [...args('nats://127.0.0.1:1').slice(0, -1), '0.0.0.0:1']);
  t.is(await far.exited, 2);
  t.regex(far.stderr(), /--admin: found "0\.0\.0\.0:1", expected a loopback address/);
  const rootless = startWeft(t, ['controller', '--mesh', 'shop'], { cwd: await tempFolder(t) });
  t.is(await rootless.exited, 2);
  t.regex(rootless.stderr(), /no mesh root/);
});
