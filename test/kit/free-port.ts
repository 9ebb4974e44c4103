import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * Below the range that systems give to outgoing connections and to who asks for any port (Linux: from 32768): a
 * port of that range may be taken by anybody between two starts of the server that a test restarts.
 */
const FIRST = 12_000;
const BLOCKS = 200;
const BLOCK_PORTS = 100;

/**
 * The block that this process gives ports out of. It is this process's as long as it listens at the first of them,
 * so a port that nobody listens at yet is not given to a test that runs beside. The system lets go of it, whatever
 * becomes of the process.
 */
let block = process.pid % BLOCKS;
/** Within the block; nothing is reserved before the first call. */
let next = BLOCK_PORTS;
let reserving: Promise<void> | undefined;

/** A TCP port of 127.0.0.1 that nobody listened at a moment ago, and that no other test is given meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    while (next >= BLOCK_PORTS) {
      reserving ??= reserve();
      await reserving;
    }
    const port = FIRST + block * BLOCK_PORTS + next++;
    const server = await listen(port);
    if (server === undefined) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Makes the next block that nobody has this process's; it keeps those that it had. */
async function reserve(): Promise<void> {
  for (let tried = 0; tried < BLOCKS; tried++) {
    block = (block + 1) % BLOCKS;
    const guard = await listen(FIRST + block * BLOCK_PORTS);
    if (guard === undefined) continue;
    guard.unref();
    next = 1;
    reserving = undefined;
    return;
  }
  throw new Error(`no ${BLOCK_PORTS} ports between ${FIRST} and ${FIRST + BLOCKS * BLOCK_PORTS} are free`);
}

/** Undefined if the port is taken. */
async function listen(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
