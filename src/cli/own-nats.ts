import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findNatsServer } from './nats-binary.ts';
import { startNatsServer } from './nats-server.ts';
import { type Supervised, supervise } from './supervise.ts';

/** The bus of `weft up`: a nats-server with its store and its log in the mesh's folder. */
export interface OwnNats {
  readonly url: string;
  readonly supervised: Supervised;
}

/**
 * Starts it on 127.0.0.1 and keeps it running, always at the same port.
 * @param port 0: a free one.
 * @throws Error if there is no nats-server that is new enough, or the port is taken.
 */
export async function startOwnNats(
  port: number,
  folder: string,
  say: (what: string) => void,
): Promise<OwnNats> {
  const binary = await findNatsServer(process.env.PATH ?? '');
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true, mode: 0o700 });
  const log = createWriteStream(join(logs, 'nats-server.log'), { flags: 'w', mode: 0o600 });
  const onLine = (line: string) => void log.write(`${line}\n`);
  const storeDir = join(folder, 'nats');
  const first = await startNatsServer({ binary, port, storeDir, onLine });
  const again = () => startNatsServer({ binary, port: first.port, storeDir, onLine });
  const supervised = supervise('nats-server', first, again, say);
  supervised.established();
  return Object.freeze({ url: first.url, supervised });
}
