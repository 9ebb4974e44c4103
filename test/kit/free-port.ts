import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** The system gives a port that was closed out again; a test that asks for two wants two. */
const given = new Set<number>();

/** A TCP port of 127.0.0.1 that nobody had a moment ago; for programs that cannot be told to pick one. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}
