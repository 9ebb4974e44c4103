import { spawn } from 'node:child_process';

/**
 * Ends a process when this one is gone, however it went (also by SIGKILL, which no handler sees): a shell of
 * some 2 MiB holds the reading end of a pipe; the pipe ends with us. First SIGTERM, after 1 s SIGKILL.
 * `release()` when the process has ended, so that its number is never signalled after somebody else got it.
 */
export interface Guard {
  release(): void;
}

const SCRIPT = `cat >/dev/null
kill -TERM "$1" 2>/dev/null || exit 0
for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; kill -0 "$1" 2>/dev/null || exit 0; done
kill -KILL "$1" 2>/dev/null`;

/** @param pid a direct child of this process, started with `detached` so that Ctrl-C passes it by. */
export function guardProcess(pid: number): Guard {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'weft-guard', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // Without a shell there is no guard; the ordinary end of the process still works.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  return Object.freeze({ release: () => void shell.kill('SIGKILL') });
}
