import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Child } from './supervise.ts';

/** The command beside this file: weft.ts in a checkout, weft.js in a package. */
const WEFT = fileURLToPath(new URL(`./weft${extname(import.meta.url)}`, import.meta.url));

export interface WeftChild extends Child {
  readonly pid: number | undefined;
}

/**
 * Starts a weft command as a child; it ends by itself when this process is gone, because its stdin ends then.
 * @param onLine hears every line that it writes to stderr: its log
 */
export function startWeftChild(
  args: readonly string[],
  onLine: (line: string) => void,
  {
    nodeArgs = [],
    secrets = {},
  }: {
    readonly nodeArgs?: readonly string[];
    /** For its environment, where other users do not see them as they see arguments. */
    readonly secrets?: Readonly<Record<string, string>>;
  } = {},
): WeftChild {
  const child = spawn(process.execPath, [...nodeArgs, ...process.execArgv, WEFT, ...args], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, ...secrets, WEFT_PARENT: 'stdin' },
    // Ctrl-C reaches the whole foreground group; it would be taken together with our SIGTERM for two signals.
    detached: true,
  });
  child.stdin.on('error', () => {});
  createInterface({ input: child.stderr }).on('line', onLine);
  const exited = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once('error', (error) => resolve(error.message));
  });
  return Object.freeze({ pid: child.pid, exited, signal: (name: NodeJS.Signals) => void child.kill(name) });
}
