import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the range that systems give to outgoing connections and to who asks for any port (Linux: from 32768): a
 * port of that range may be taken by anybody between two starts of the server that a test restarts.
 */
const FIRST = 12_000;
const COUNT = 20_000;

/** Processes that run side by side begin far from each other. */
let next = (process.pid * 137) % COUNT;

/** A TCP port of 127.0.0.1 that nobody had a moment ago, and that this process has not given out lately. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < COUNT; tried++) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error(`no port between ${FIRST} and ${FIRST + COUNT} is free`);
}
