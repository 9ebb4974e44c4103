import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** The direct children of a process that still run; what has ended and waits for its parent is not counted. */
export async function childrenOf(pid: number): Promise<readonly Row[]> {
  return (await rows()).filter(({ parent }) => parent === pid);
}

export async function isRunning(pid: number): Promise<boolean> {
  return (await rows()).some((row) => row.pid === pid);
}

async function rows(): Promise<Row[]> {
  return process.platform === 'linux' ? procRows() : psRows();
}

/** Not every Linux has ps; proc(5) has everything. */
async function procRows(): Promise<Row[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const [state = 'Z', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return { pid: Number(pid), parent: Number(parent), command: command.replaceAll('\0', ' '), state };
    }),
  );
  return found.filter(({ state }) => state !== 'Z' && state !== 'X');
}

async function psRows(): Promise<Row[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=,command=']);
  const found: Row[] = [];
  for (const line of stdout.split('\n')) {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (command === undefined || state?.startsWith('Z')) continue;
    found.push({ pid: Number(pid), parent: Number(parent), command });
  }
  return found;
}
