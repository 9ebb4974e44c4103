import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { guardProcess } from '../src/cli/guard.ts';

/** A program that runs for the demo. */
export interface Child {
  readonly name: string;
  /** Rejects if it ends before it is up, or takes too long. */
  readonly ready: Promise<void>;
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
  /** Asks it to end and waits; when that takes too long, or this is called again, it is killed. */
  end(): Promise<void>;
}

export interface ChildStart {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** The line on its standard output that says that it is up. */
  readonly readyLine: string;
  readonly readyMsMax: number;
  readonly endMsMax: number;
  /** File descriptor for its standard error. */
  readonly log: number;
}

/**
 * Starts a program. Ctrl-C in the terminal does not reach it (it has a session of its own), so that it can be
 * ended in order; if this process is killed, its guard ends it.
 */
export function startChild(start: ChildStart): Child {
  const child = spawn(start.command, start.args, {
    stdio: ['ignore', 'pipe', start.log],
    detached: true,
    ...(start.env === undefined ? {} : { env: { ...process.env, ...start.env } }),
  });
  const ended = waitForEnd(child);
  const guard = child.pid === undefined ? undefined : guardProcess(child.pid);
  void ended.then(() => guard?.release());

  const ready = Promise.race([
    waitForLine(child, start.readyLine),
    ended,
    afterMs(start.readyMsMax, `did not come up within ${start.readyMsMax / 1000} s`),
  ]).then((failure) => {
    if (failure !== undefined) throw new Error(`${start.name} ${failure}`);
  });
  // Nobody may be waiting for it any more when it fails.
  ready.catch(() => {});

  let asked = false;
  const end = async () => {
    child.kill(asked ? 'SIGKILL' : 'SIGTERM');
    asked = true;
    const timer = setTimeout(() => child.kill('SIGKILL'), start.endMsMax);
    await ended;
    clearTimeout(timer);
  };
  return Object.freeze({ name: start.name, ready, ended, end });
}

async function waitForEnd(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
  } catch (error) {
    return `cannot be started: ${(error as Error).message}`;
  }
}

function waitForLine(child: ChildProcess, wanted: string): Promise<undefined> {
  return new Promise((resolve) => {
    // Read on after the line as well: a full pipe would stop the program.
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.trim() === wanted) resolve(undefined);
      });
    }
  });
}

function afterMs(ms: number, value: string): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}
