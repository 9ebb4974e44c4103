/** The nats-server that a file with a process id names. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PS_MS = 5_000;

/**
 * Its process id; undefined if there is no such file, or the process that it names is gone or is something else: ids are
 * used again, and SIGHUP ends what does not expect it.
 * @throws Error if it runs and this process may not signal it; an error of the file system
 */
export async function runningNatsServer(pidFile: string): Promise<number | undefined> {
  const text = await readFile(pidFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const pid = Number(/^\s*([1-9]\d{0,9})\s*$/.exec(text)?.[1]);
  if (!Number.isSafeInteger(pid) || !isNatsServer(await programOf(pid))) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
    throw new Error(
      `${pidFile}: process ${pid} is a nats-server of another user: run weft as that one, or as root`,
    );
  }
}

/** Has the server read its configuration again; whoever is connected and still may be stays connected. */
export function reloadNatsServer(pid: number): void {
  try {
    process.kill(pid, 'SIGHUP');
  } catch (error) {
    // It has ended just now; the next one reads the file as it is.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isNatsServer(program: string): boolean {
  return program.slice(program.lastIndexOf('/') + 1).startsWith('nats-server');
}

/** The name of the program that a process runs (proc(5), ps(1)); '' if there is no such process. */
async function programOf(pid: number): Promise<string> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => undefined);
  if (name !== undefined || process.platform === 'linux') return name?.trim() ?? '';
  const said = await run('ps', ['-p', String(pid), '-o', 'comm='], { timeout: PS_MS }).catch(() => undefined);
  return said?.stdout.trim() ?? '';
}
