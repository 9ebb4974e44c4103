import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/**
 * What the operating system charges to a process. CPU time is taken from /proc/<pid>/task/<tid>/schedstat, in
 * nanoseconds and summed over its threads: the ticks of /proc/<pid>/stat are 10 ms, too coarse for rounds of a
 * second. A thread that ends takes its time with it; none of the processes here end threads under load.
 */

/** CPU time of all threads of a process so far, in nanoseconds. */
export function cpuNs(pid: number): number {
  const folder = `/proc/${pid}/task`;
  let sum = 0;
  for (const thread of readdirSync(folder)) {
    const [onCpu] = readFileSync(`${folder}/${thread}/schedstat`, 'latin1').split(' ', 1);
    sum += Number(onCpu);
  }
  return sum;
}

/** The processes that `pid` has started and that still run: nginx does its work in a child. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Resident memory in bytes: now, and the highest since `resetHighWater` (or since the start). */
export interface Memory {
  readonly rss: number;
  readonly highWater: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (key: string) => {
    const value = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
    if (value === undefined) throw new Error(`/proc/${pid}/status has no ${key}`);
    return Number(value) * 1024;
  };
  return { rss: bytes('VmRSS'), highWater: bytes('VmHWM') };
}

/** Resident memory of several processes, by name. */
export function rssOf(pids: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, memoryOf(pid).rss]));
}

/** Makes VmHWM start again from what is resident now: proc(5), /proc/pid/clear_refs, value 5. */
export function resetHighWater(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
