import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { guardProcess } from '../../src/cli/guard.ts';

const WEFT = fileURLToPath(new URL('../../src/cli/weft.ts', import.meta.url));

/** A weft command as a process of its own; it is killed at the end of the test if it still runs. */
export interface WeftProcess {
  readonly child: ChildProcess;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  stdout(): string;
  stderr(): string;
  /** Resolves with the first line of either that matches, past ones too; rejects if it ends without. */
  line(pattern: RegExp): Promise<string>;
}

export function startWeft(
  t: ExecutionContext,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): WeftProcess {
  const child = spawn(process.execPath, [WEFT, ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  // A test that times out runs no teardown.
  const guard = child.pid === undefined ? undefined : guardProcess(child.pid);
  const lines = { stdout: [] as string[], stderr: [] as string[] };
  const waiting = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    createInterface({ input: child[name] }).on('line', (line) => {
      lines[name].push(line);
      for (const look of waiting) look();
    });
  }
  let over = false;
  const exited = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => {
      over = true;
      guard?.release();
      resolve(signal ?? code ?? -1);
      for (const look of waiting) look();
    });
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const all = () => [...lines.stdout, ...lines.stderr];
  return {
    child,
    exited,
    stdout: () => lines.stdout.join('\n'),
    stderr: () => lines.stderr.join('\n'),
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = all().find((line) => pattern.test(line));
          if (found === undefined && !over) return;
          waiting.delete(look);
          if (found === undefined) reject(new Error(`ended without ${pattern}:\n${all().join('\n')}`));
          else resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}
