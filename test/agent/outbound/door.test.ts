import { once } from 'node:events';
import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Door } from '../../../src/agent/outbound/door.ts';
import type { OutboundParts } from '../../../src/agent/outbound/proxy.ts';
import { tempFolder } from '../../kit/temp-folder.ts';

function doorAt(t: ExecutionContext, path: string): Door {
  // No request comes, so nothing but the clock is asked for.
  const door = new Door({ now: () => 0 } as OutboundParts, 'mail.default', { path });
  t.teardown(() => door.stop());
  return door;
}

test('a file that is no socket is somebody else’s: the door does not open and the file stays', async (t) => {
  const path = join(await tempFolder(t), 'precious.db');
  writeFileSync(path, 'data');
  await t.throwsAsync(doorAt(t, path).listen(), { message: /door of mail\.default.*another program/ });
  t.is(readFileSync(path, 'utf8'), 'data');
});

test('a socket that somebody listens at stays his', async (t) => {
  const path = join(await tempFolder(t), 'door.sock');
  const other = createServer().listen(path);
  t.teardown(() => other.close());
  await once(other, 'listening');
  await t.throwsAsync(doorAt(t, path).listen(), { message: /another program listens there/ });
  t.true(lstatSync(path).isSocket());
});
