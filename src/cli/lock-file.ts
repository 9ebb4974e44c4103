import { readFile, rm, writeFile } from 'node:fs/promises';

/**
 * Takes a folder for this process: a file that names it. One that a crash has left behind is taken over.
 * @param taken what is the matter if another process holds it
 * @throws Error if another process holds it.
 */
export async function takeLock(
  file: string,
  taken = 'a mesh runs from this folder already',
): Promise<{ release(): Promise<void> }> {
  const own = `${process.pid} ${await startTime(process.pid)}\n`;
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await writeFile(file, own, { flag: 'wx', mode: 0o600 });
      return Object.freeze({ release: () => rm(file, { force: true }) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [, pid, started] = /^(\d{1,10}) (\d*)\n$/.exec(await readFile(file, 'utf8').catch(() => '')) ?? [];
    if (pid !== undefined && isAlive(Number(pid)) && (await startTime(Number(pid))) === started) {
      throw new Error(`${taken}: process ${pid} holds ${file}. End it first.`);
    }
    await rm(file, { force: true });
  }
  throw new Error(`${file} changes hands all the time; is weft started in a loop?`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Numbers of processes are used again; with the start time (proc(5), field 22) they are not. Empty if unknown. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name, in parentheses, and may hold spaces.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
