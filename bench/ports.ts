import { connect, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

const POLL_MS = 20;

/** A port that was free a moment ago, for programs that cannot pick one and tell. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Waits until something takes connections at a loopback port. @throws Error after `timeoutMs`. */
export async function untilListening(port: number, timeoutMs: number): Promise<void> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const taken = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (taken) return;
    if (performance.now() > until) throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms`);
    await wait(POLL_MS);
  }
}
