import { cpuNs } from './accounting.ts';
import type { Path } from './paths.ts';
import type { Processes } from './processes.ts';

/** One round of one path. Times of a request in microseconds. */
export interface Round {
  readonly path: string;
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  /** CPU per request of each process of the path. */
  readonly cpuUs: Readonly<Record<string, number>>;
  /** Their sum: proxies and bus. */
  readonly pathCpuUs: number;
  readonly backendCpuUs: number;
}

/** CPU time that the processes of a path and the backend have used while `work` ran. */
export async function measureCpu<T>(path: Path, backendPid: number, work: () => Promise<T>) {
  const pids = { ...path.pids, backend: backendPid };
  const before = Object.entries(pids).map(([name, pid]) => [name, pid, cpuNs(pid)] as const);
  const result = await work();
  const { backend = 0, ...used } = Object.fromEntries(
    before.map(([name, pid, ns]) => [name, cpuNs(pid) - ns]),
  ) as Record<string, number>;
  return { result, backendNs: backend, usedNs: used };
}

/** Nanoseconds by process → microseconds per request, and their sum. */
export function perRequest(usedNs: Readonly<Record<string, number>>, requests: number) {
  const cpuUs = Object.fromEntries(Object.entries(usedNs).map(([name, ns]) => [name, ns / 1000 / requests]));
  return { cpuUs, pathCpuUs: Object.values(cpuUs).reduce((sum, us) => sum + us, 0) };
}

/** Every connection has one request under way: wrk with one thread. @throws Error on any failed request. */
export async function closedLoopRound(
  processes: Processes,
  path: Path,
  backendPid: number,
  connections: number,
  seconds: number,
): Promise<Round> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '--timeout', '5s'];
  args.push('-H', 'Host: orders', `http://127.0.0.1:${path.port}/hello`);
  const { result, backendNs, usedNs } = await measureCpu(path, backendPid, () =>
    processes.run('wrk', args, seconds * 1000 + 15_000),
  );
  const { requests, ...times } = readWrk(result, path.name);
  return {
    path: path.name,
    connections,
    ...times,
    ...perRequest(usedNs, requests),
    backendCpuUs: backendNs / 1000 / requests,
  };
}

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 6e7 };

/** The figures in what wrk 4 prints. @throws Error if it speaks of errors or a figure is missing. */
function readWrk(text: string, path: string) {
  const trouble = /^ *(Socket errors|Non-2xx).*$/m.exec(text);
  if (trouble !== null) throw new Error(`${path}: ${trouble[0].trim()}`);
  const us = (share: string) => {
    const [, value, unit = ''] = new RegExp(`^ *${share}% +([\\d.]+)(us|ms|s|m)$`, 'm').exec(text) ?? [];
    return Number(value) * (UNITS[unit] ?? Number.NaN);
  };
  const requests = Number(/^ *(\d+) requests in /m.exec(text)?.[1]);
  const requestsPerSecond = Number(/^Requests\/sec: +([\d.]+)/m.exec(text)?.[1]);
  const figures = { requests, requestsPerSecond, p50Us: us('50'), p90Us: us('90'), p99Us: us('99') };
  const missing = Object.entries(figures).filter(([, value]) => Number.isNaN(value));
  if (missing.length > 0) throw new Error(`${path}: wrk gave no ${missing.map(([key]) => key).join(', ')}`);
  return figures;
}
