import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer } from '../../src/cli/nats-binary.ts';
import { type NatsServerProcess, startNatsServer } from '../../src/cli/nats-server.ts';
import { freePort } from './free-port.ts';

/**
 * A real nats-server for a test: free port, own store, JetStream on. It ends with `stop()`, and at the latest
 * with the test process. Use: `const nats = await startNats(); t.teardown(nats.stop);`
 */
export interface TestNats {
  readonly url: string;
  readonly port: number;
  /** Ends it and removes its store. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when it is gone. The store stays. */
  kill(): Promise<void>;
  /** After `kill()`: starts again at the same port with the same store. */
  restart(): Promise<void>;
  /** SIGSTOP: it accepts no byte and closes nothing, as a hung host would. */
  suspend(): void;
  resume(): void;
}

/** It is asked for its release, which is one more process. */
let found: Promise<string> | undefined;

export async function startNats(options: { port?: number; args?: string[] } = {}): Promise<TestNats> {
  const dir = await mkdtemp(join(tmpdir(), 'weft-nats-'));
  found ??= findNatsServer(process.env.PATH ?? '');
  const binary = await found;
  const start = (port: number) => startNatsServer({ binary, port, storeDir: dir, args: options.args ?? [] });
  let server: NatsServerProcess = await start(options.port ?? (await freePort()));
  const { port, url } = server;
  return {
    url,
    port,
    async stop() {
      server.signal('SIGCONT');
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
    async kill() {
      server.signal('SIGKILL');
      await server.exited;
    },
    async restart() {
      server = await start(port);
    },
    suspend: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
  };
}
