import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Account, UnixSocket } from '../../../src/agent/address.ts';
import { Door } from '../../../src/agent/outbound/door.ts';
import type { OutboundParts } from '../../../src/agent/outbound/proxy.ts';
import { listenOnSocket } from '../../../src/agent/outbound/unix-socket.ts';
import { tempFolder } from '../../kit/temp-folder.ts';

/** Only root can give files away. */
const asRoot = process.getuid?.() === 0 ? test : test.skip;

const socketAt = (path: string, mode = 0o600, owner?: Account, group?: Account): UnixSocket => ({
  path,
  mode,
  owner,
  group,
});

function doorAt(t: ExecutionContext, address: UnixSocket): Door {
  // No request comes, so nothing but the clock is asked for.
  const door = new Door({ now: () => 0 } as OutboundParts, { caller: 'mail.default', address });
  t.teardown(() => door.stop());
  return door;
}

const openness = (path: string): number => lstatSync(path).mode & 0o777;

test('a file that is no socket is somebody else’s: the door does not open and the file stays', async (t) => {
  const path = join(await tempFolder(t), 'precious.db');
  writeFileSync(path, 'data');
  await t.throwsAsync(doorAt(t, socketAt(path)).listen(), { message: /door of mail\.default.*no socket/ });
  t.is(readFileSync(path, 'utf8'), 'data');
});

test('a socket that somebody listens at stays his', async (t) => {
  const path = join(await tempFolder(t), 'door.sock');
  const other = createServer().listen(path);
  t.teardown(() => other.close());
  await once(other, 'listening');
  await t.throwsAsync(doorAt(t, socketAt(path)).listen(), { message: /another program listens there/ });
  t.true(lstatSync(path).isSocket());
});

test('the socket of a process that was killed is in nobody’s way', async (t) => {
  const path = join(await tempFolder(t), 'door.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('there'))`;
  const dead = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const over = once(dead, 'exit');
  await once(dead.stdout, 'data');
  dead.kill('SIGKILL');
  await over;
  t.true(lstatSync(path).isSocket());
  await doorAt(t, socketAt(path)).listen();
  const caller = connect(path);
  t.teardown(() => caller.destroy());
  await once(caller, 'connect');
  t.pass();
});

test('a door that closes takes its socket away', async (t) => {
  const path = join(await tempFolder(t), 'door.sock');
  const door = doorAt(t, socketAt(path));
  await door.listen();
  t.true(existsSync(path));
  door.drain();
  t.false(existsSync(path));
});

test('a socket is at no moment more open than its mode', async (t) => {
  const folder = await tempFolder(t);
  for (const mode of [0o600, 0o660, 0o666, 0o060]) {
    const path = join(folder, `${mode}.sock`);
    const before = process.umask();
    let born: number | undefined;
    const server = createServer().once('listening', () => {
      born = openness(path);
    });
    t.teardown(() => server.close());
    await listenOnSocket(server, socketAt(path, mode));
    t.is((born as number) & ~mode, 0, `born with ${born?.toString(8)}`);
    t.is(openness(path), mode);
    t.is(process.umask(), before);
  }
});

test('a folder in which others may write is refused, and one that is not there', async (t) => {
  const folder = join(await tempFolder(t), 'run');
  const open = () => doorAt(t, socketAt(join(folder, 'door.sock'))).listen();
  await t.throwsAsync(open(), { message: /mail\.default at unix:.*there is no folder .*run; make it/ });
  mkdirSync(folder);
  for (const mode of [0o777, 0o775, 0o1777]) {
    chmodSync(folder, mode);
    await t.throwsAsync(open(), { message: new RegExp(`mode ${mode.toString(8).padStart(4, '0')}.*chmod`) });
  }
  chmodSync(folder, 0o755);
  await t.notThrowsAsync(open());
});

test('a user or group that is not there is named, and nothing is left behind', async (t) => {
  const path = join(await tempFolder(t), 'door.sock');
  await t.throwsAsync(doorAt(t, socketAt(path, 0o600, 'nobody-knows-me')).listen(), {
    message: /no user named nobody-knows-me stands in \/etc\/passwd/,
  });
  await t.throwsAsync(doorAt(t, socketAt(path, 0o600, undefined, 'nobody-knows-us')).listen(), {
    message: /no group named nobody-knows-us stands in \/etc\/group/,
  });
  t.false(existsSync(path));
});

asRoot('a folder that is somebody else’s is refused', async (t) => {
  const folder = await tempFolder(t);
  chownSync(folder, 12_345, 12_345);
  await t.throwsAsync(doorAt(t, socketAt(join(folder, 'door.sock'))).listen(), {
    message: /belongs to uid 12345/,
  });
});

asRoot(
  'a socket is given to its owner and group, by name or number, and others cannot connect',
  async (t) => {
    const folder = await tempFolder(t);
    chmodSync(folder, 0o755);
    const path = join(folder, 'door.sock');
    await doorAt(t, socketAt(path, 0o660, 12_345, 'daemon')).listen();
    const { uid, gid } = lstatSync(path);
    t.deepEqual([uid, gid, openness(path)], [12_345, 1, 0o660]);
    const script = `require('net').connect(${JSON.stringify(path)}, () => { console.log('in'); process.exit() })
    .on('error', ({ code }) => console.log(code))`;
    const comes = async (id: number, group: number) => {
      const child = spawn(process.execPath, ['-e', script], { uid: id, gid: group, cwd: '/', stdio: 'pipe' });
      const [said] = await once(child.stdout, 'data');
      return String(said).trim();
    };
    t.is(await comes(12_345, 12_345), 'in');
    t.is(await comes(12_346, 1), 'in');
    t.is(await comes(12_346, 12_346), 'EACCES');
  },
);
