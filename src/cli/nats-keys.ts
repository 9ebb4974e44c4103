/** The NATS users that a mesh has besides its agents: their seeds, each in a file of the mesh's folder. */
import { randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createUser } from '@nats-io/nkeys';
import { publicNkeyOf } from '../protocol/nkey.ts';
import { UsageError } from './exit.ts';

/**
 * `controller`: of controllers. `operator`: of whoever works in the folder. `join`: of hosts that have a join token; tokens
 * carry it. `system`: of whoever looks at the servers.
 */
export const NATS_USERS = ['controller', 'operator', 'join', 'system'] as const;
export type NatsUserName = (typeof NATS_USERS)[number];

export interface NatsKey {
  /** `SU…`. Secret. */
  readonly seed: string;
  /** `U…` */
  readonly publicKey: string;
}

export function natsKeyFile(folder: string, name: NatsUserName): string {
  return join(folder, `${name}.nk`);
}

/** Reads the keys, and makes those that are missing (mode 0600). @throws UsageError if a file is no seed; of the file system */
export async function ensureNatsKeys(folder: string): Promise<Readonly<Record<NatsUserName, NatsKey>>> {
  const keys = await Promise.all(NATS_USERS.map(async (name) => [name, await ensureKey(folder, name)]));
  return Object.fromEntries(keys);
}

/** @returns undefined if the folder has none. @throws UsageError that never quotes it, if it is no seed or cannot be read */
export async function findNatsKey(folder: string, name: NatsUserName): Promise<NatsKey | undefined> {
  const file = natsKeyFile(folder, name);
  const seed = await readFile(file, 'utf8').then(
    (text) => text.trim(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new UsageError(`cannot read the NATS key ${file} (${error.code})`);
    },
  );
  if (seed === undefined) return undefined;
  const publicKey = publicNkeyOf('user', seed);
  if (publicKey === undefined) {
    throw new UsageError(
      `${file}: expected the seed of a NATS user (SU…); remove the file to have another one made`,
    );
  }
  return { seed, publicKey };
}

async function ensureKey(folder: string, name: NatsUserName): Promise<NatsKey> {
  const known = await findNatsKey(folder, name);
  if (known !== undefined) return known;
  const made = createUser();
  const seed = Buffer.from(made.getSeed()).toString('latin1');
  const file = natsKeyFile(folder, name);
  // Under its name it is whole: whoever reads it meanwhile finds nothing or all of it.
  const beside = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    await writeFile(beside, `${seed}\n`, { mode: 0o600, flag: 'wx' });
    await link(beside, file);
    return { seed, publicKey: made.getPublicKey() };
  } catch (error) {
    // Somebody has been faster.
    const theirs = (error as NodeJS.ErrnoException).code === 'EEXIST' && (await findNatsKey(folder, name));
    if (theirs) return theirs;
    throw error;
  } finally {
    await rm(beside, { force: true });
  }
}
