import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { guardProcess } from './guard.ts';

export type NatsServerOptions = {
  readonly binary: string;
  /** 0: the server picks a free one. */
  readonly port: number;
  /** More of nats-server's own arguments. */
  readonly args?: readonly string[];
  /** Every line of its log. */
  readonly onLine?: (line: string) => void;
} & (
  | {
      /** JetStream's files; made when missing. */
      readonly storeDir: string;
    }
  | {
      /** Says where JetStream's files are, too: what stands on the command line as well is lost when the file is read again. */
      readonly configFile: string;
    }
);

/** A nats-server that ends with this process, however this process ends. */
export interface NatsServerProcess {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
  /** Resolves when the process has ended, with its exit code or signal. */
  readonly exited: Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, SIGKILL after 2 s; resolves when it has ended. */
  stop(): Promise<void>;
}

const LISTENING = /Listening for client connections on \S+:(\d+)/;
const KILL_AFTER_MS = 2_000;

/**
 * Starts a nats-server with JetStream on 127.0.0.1; resolves when it takes connections.
 * @throws Error with the server's own last words if it ends before that.
 */
export function startNatsServer(options: NatsServerOptions): Promise<NatsServerProcess> {
  const { binary, port, args = [], onLine } = options;
  const address = ['-a', '127.0.0.1', '-p', String(port === 0 ? -1 : port)];
  const own = 'configFile' in options ? ['-c', options.configFile] : ['-js', '-sd', options.storeDir];
  // Detached: Ctrl-C reaches the whole foreground group, and the bus must outlive the agents' drain.
  const child = spawn(binary, [...address, ...own, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const guard = child.pid === undefined ? undefined : guardProcess(child.pid);

  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once('error', (error) => resolve(error.message));
  });
  void exited.then(() => guard?.release());

  const signal = (name: NodeJS.Signals) => void child.kill(name);
  const stop = async () => {
    signal('SIGTERM');
    // A suspended server sees no SIGTERM before it is resumed.
    const timer = setTimeout(signal, KILL_AFTER_MS, 'SIGKILL');
    await exited;
    clearTimeout(timer);
  };

  return new Promise((resolve, reject) => {
    let listening = 0;
    let lastError = '';
    createInterface({ input: child.stderr }).on('line', (line) => {
      onLine?.(line);
      if (/\[(FTL|ERR)\]/.test(line)) lastError = line.replace(/^.*\[(FTL|ERR)\] /, '');
      listening = Number(LISTENING.exec(line)?.[1] ?? listening);
      if (!line.includes('Server is ready') || child.pid === undefined) return;
      const url = `nats://127.0.0.1:${listening}`;
      resolve(Object.freeze({ pid: child.pid, port: listening, url, exited, signal, stop }));
    });
    void exited.then((how) => reject(new Error(`nats-server ended at start (${how}): ${lastError}`)));
  });
}
