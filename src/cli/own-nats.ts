import { createWriteStream } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type NatsConfigFileOptions, writeNatsConfig } from '../nats/config-file.ts';
import { controllerAccount } from '../nats/config-text.ts';
import type { NatsUsers } from '../nats/users.ts';
import { findNatsServer } from './nats-binary.ts';
import { ensureNatsKeys, type NatsKey, type NatsUserName } from './nats-keys.ts';
import { startNatsServer } from './nats-server.ts';
import { type Supervised, supervise } from './supervise.ts';

/** A mesh on one machine keeps a few MB. */
const STORE_BYTES_MAX = 4 * 1024 ** 3;

/** The bus of `weft up`: a nats-server with its store and its log in the mesh's folder. */
export interface OwnNats {
  readonly url: string;
  readonly supervised: Supervised;
}

/** Where the configuration with permissions of `weft up`'s own server is, and what else is in it. */
export function ownNatsConfig(folder: string, mesh: string): NatsConfigFileOptions {
  return {
    mesh,
    file: join(folder, 'nats.conf'),
    pidFile: join(folder, 'nats-server.pid'),
    storeDir: join(folder, 'nats'),
    storeBytesMax: STORE_BYTES_MAX,
  };
}

/**
 * Writes it for a start: the agents are those of this machine that have an identity; the controller adds all others.
 * @returns what `startOwnNats` starts with, and the seeds of the users that are not agents. Secret.
 */
export async function prepareOwnNats(folder: string, mesh: string, agents: NatsUsers['agents']) {
  const keys = await ensureNatsKeys(folder);
  const config = ownNatsConfig(folder, mesh);
  await writeNatsConfig({ ...ownUsers(keys), agents }, config);
  return { config, operatorSeed: keys.operator.seed, joinSeed: keys.join.seed };
}

/** Users that the mesh has whoever is enrolled; whoever works in its folder is an admin. */
export function ownUsers(keys: Readonly<Record<NatsUserName, NatsKey>>): NatsUsers {
  return {
    agents: [],
    operators: [{ name: 'local', role: 'admin', key: keys.operator.publicKey }],
    controllers: [keys.controller.publicKey],
    join: keys.join.publicKey,
    system: keys.system.publicKey,
  };
}

/**
 * Starts it on 127.0.0.1 and keeps it running, always at the same port.
 * @param port 0: a free one.
 * @param config as it was written (`ownNatsConfig`, `writeNatsConfig`).
 * @throws Error if there is no nats-server that is new enough, or the port is taken.
 */
export async function startOwnNats(
  port: number,
  folder: string,
  say: (what: string) => void,
  config: NatsConfigFileOptions,
): Promise<OwnNats> {
  const binary = await findNatsServer(process.env.PATH ?? '');
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true, mode: 0o700 });
  const log = createWriteStream(join(logs, 'nats-server.log'), { flags: 'w', mode: 0o600 });
  const onLine = (line: string) => void log.write(`${line}\n`);
  await adoptStore(config);
  const store = { configFile: config.file };
  const first = await startNatsServer({ binary, port, ...store, onLine });
  const again = () => startNatsServer({ binary, port: first.port, ...store, onLine });
  const supervised = supervise('nats-server', first, again, say);
  supervised.established();
  return Object.freeze({ url: first.url, supervised });
}

/** What a server without accounts has kept belongs to the controllers from now on, and would not be found otherwise. */
async function adoptStore({ storeDir, mesh }: NatsConfigFileOptions): Promise<void> {
  const before = join(storeDir, 'jetstream', '$G');
  const now = join(storeDir, 'jetstream', controllerAccount(mesh));
  if (await stat(now).catch(() => undefined)) return;
  await rename(before, now).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
