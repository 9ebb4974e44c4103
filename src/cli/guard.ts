import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Ends processes when this one is gone, however it went (also by SIGKILL, which no handler sees): a shell of
 * some 2 MiB reads their numbers from a pipe, and the pipe ends with us. First SIGTERM, after 1 s SIGKILL.
 * `release()` when the process has ended, so that its number is never signalled after somebody else got it.
 */
export interface Guard {
  release(): void;
}

const SCRIPT = `pids=
while read -r what pid; do
  rest=
  for one in $pids; do [ "$one" = "$pid" ] || rest="$rest $one"; done
  pids=$rest
  [ "$what" = guard ] && pids="$pids $pid"
done
end() { for pid in $pids; do kill "$1" "$pid" 2>/dev/null && alive=1; done; }
alive=; end -TERM
for i in 1 2 3 4 5 6 7 8 9 10; do
  [ -n "$alive" ] || exit 0
  sleep 0.1
  alive=; end -0
done
end -KILL`;

/** One for all that this process guards; begun anew should it have ended. */
let shell: ChildProcess | undefined;

/** @param pid a direct child of this process, started with `detached` so that Ctrl-C passes it by. */
export function guardProcess(pid: number): Guard {
  shell ??= startShell();
  const own = shell;
  own.stdin?.write(`guard ${pid}\n`);
  return Object.freeze({ release: () => void own.stdin?.write(`release ${pid}\n`) });
}

function startShell(): ChildProcess {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'weft-guard'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const over = () => {
    if (shell === child) shell = undefined;
  };
  // Without a shell there is no guard; the ordinary end of the processes still works.
  child.on('error', over);
  child.on('exit', over);
  child.stdin.on('error', () => {});
  child.unref();
  return child;
}
