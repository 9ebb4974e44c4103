/**
 * Opens a Unix socket for a door.
 *
 * D1  The file is at no moment more open than its mode: it is made with no more than its owner's part of that.
 * D2  Nobody else can put something in its place: its folder is the agent's user's or root's, and only theirs to write.
 * D3  What stands in its place already is removed only if it is a socket at which nobody listens.
 */
import { once } from 'node:events';
import { type BigIntStats, chmodSync, chownSync, lstatSync, statSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import type { UnixSocket } from '../address.ts';
import { groupId, userId } from './account-id.ts';

const KEEP = -1;
const OWNERS_PART = 0o700;
const OTHERS_WRITE = 0o022;

/** Resolves when `server` listens; throws an error that says what to do. Closing the server removes the file. */
export async function listenOnSocket(server: Server, socket: UnixSocket): Promise<void> {
  const { path, mode, owner, group } = socket;
  const uid = owner === undefined ? KEEP : userId(owner);
  const gid = group === undefined ? KEEP : groupId(group);
  checkFolder(dirname(path));
  await makeWay(path);
  const umask = process.umask(0o777 & ~(mode & OWNERS_PART));
  try {
    // It binds before it returns.
    server.listen({ path });
  } finally {
    process.umask(umask);
  }
  await once(server, 'listening');
  try {
    chownSync(path, uid, gid);
    chmodSync(path, mode);
  } catch (error) {
    server.close();
    throw error;
  }
}

function checkFolder(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory()) {
    throw new Error(`there is no folder ${folder}; make it, for the agent's user alone to write`);
  }
  const { uid, mode } = found;
  if (uid !== 0 && uid !== process.geteuid?.()) {
    throw new Error(
      `the folder ${folder} belongs to uid ${uid}, who could put another socket there; it must be the agent's user's or root's`,
    );
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    const octal = (mode & 0o7777).toString(8).padStart(4, '0');
    throw new Error(
      `others than its owner may write to the folder ${folder} (mode ${octal}), and so put another socket there; chmod go-w it, or choose another`,
    );
  }
}

/** A process that was killed leaves its socket file; one that nobody answers at is in the way of nobody. */
async function makeWay(path: string): Promise<void> {
  const found = look(path);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new Error('what stands there is no socket; move it away, or choose another path');
  }
  if (await answers(path)) throw new Error('another program listens there');
  // Another agent may have done the same meanwhile, and listen there by now.
  const still = look(path);
  if (still?.ino === found.ino && still.ctimeNs === found.ctimeNs) unlinkSync(path);
}

function look(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** False only if it is certain that nobody listens. */
async function answers(path: string): Promise<boolean> {
  const probe = connect(path);
  try {
    await once(probe, 'connect');
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED';
  } finally {
    probe.destroy();
  }
}
