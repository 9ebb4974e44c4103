import { type ChildProcess, spawn } from 'node:child_process';
import { guardProcess } from '../src/cli/guard.ts';

export interface Started {
  readonly pid: number;
  /** The next complete line of its standard output. @throws Error if it ends first, or after `timeoutMs`. */
  line(timeoutMs: number): Promise<string>;
  /** What went wrong with it, if it has ended. */
  failure(): string | undefined;
  /** SIGTERM, and SIGKILL after 5 s. */
  stop(): Promise<void>;
}

const STDERR_BYTES_KEPT = 4_096;
const OUTPUT_BYTES_MAX = 1024 * 1024;
const KILL_AFTER_MS = 5_000;

export interface StartedInFull extends Started {
  /** Undefined after a clean end, else what went wrong. */
  readonly ended: Promise<string | undefined>;
  output(): string;
}

/** Starts a process that a guard ends if this one is gone. */
export function startProcess(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): StartedInFull {
  // Detached: Ctrl-C goes to the whole foreground group, and the order of ending is ours. The pipe on standard
  // input ends with this process, which is how an agent learns that its parent is gone (WEFT_PARENT).
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env });
  child.stdin.on('error', () => undefined);
  const guard = child.pid === undefined ? undefined : guardProcess(child.pid);
  let output = '';
  let errors = '';
  let wake = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < OUTPUT_BYTES_MAX) output += text;
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-STDERR_BYTES_KEPT);
  });
  const name = [command, ...args].join(' ');
  let over = false;
  let ending: string | undefined;
  const ended = new Promise<string | undefined>((resolve) => {
    const end = (failure: string | undefined) => {
      over = true;
      ending = failure;
      guard?.release();
      resolve(failure);
      wake();
    };
    child.once('error', (error) => end(`${name}: ${error.message}`));
    child.once('close', (code, signal) =>
      end(code === 0 ? undefined : `${name}: ended with ${signal ?? code}\n${errors.trim()}`),
    );
  });

  let read = 0;
  const line = async (timeoutMs: number): Promise<string> => {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const end = output.indexOf('\n', read);
      if (end >= 0) {
        const text = output.slice(read, end);
        read = end + 1;
        return text;
      }
      if (over) throw new Error(ending ?? `${name}: ended without the expected line`);
      const left = until - performance.now();
      if (left <= 0) throw new Error(`${name}: said nothing for ${timeoutMs} ms\n${errors.trim()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  return Object.freeze({
    pid: child.pid ?? 0,
    line,
    ended,
    failure: () => (over ? (ending ?? `${name}: ended`) : undefined),
    output: () => output,
    stop: () => stopChild(child, ended),
  });
}

async function stopChild(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(timer);
}
