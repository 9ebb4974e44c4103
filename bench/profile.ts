import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closedLoopRound } from './closed-loop.ts';
import type { Path } from './paths.ts';
import type { Processes } from './processes.ts';
import { figure, tableText } from './table.ts';
import { startWeftPair } from './weft-pair.ts';

const CONNECTIONS = 128;
const WARM_UP_SECONDS = 3;
const SECONDS = 6;
const START_MS = 10_000;
const BODY_BYTES = 2 ** 28;
const BODY_MS = 60_000;
const ROWS = 25;
const NAME_LENGTH = 70;
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The part of V8's .cpuprofile that is read here. Times in microseconds of the monotonic clock. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly startTime: number;
  readonly timeDeltas: readonly number[];
}

/** A stretch of the run, in microseconds of the monotonic clock. */
interface Window {
  readonly name: string;
  readonly from: number;
  readonly until: number;
}

/** Runs both agents with --cpu-prof under load and prints where each spent its time, after the warm-up. */
export async function profileAgents(processes: Processes): Promise<void> {
  const backend = processes.start(process.execPath, [file('./backend.ts')]);
  const bulk = processes.start(process.execPath, [file('./body-backend.ts')]);
  const services = { orders: Number(await backend.line(START_MS)), bulk: Number(await bulk.line(START_MS)) };
  const folder = (agent: string) => join(processes.folder, `profile-${agent}`);
  const weft = await startWeftPair(processes, services, (agent) => [
    '--cpu-prof',
    `--cpu-prof-dir=${folder(agent)}`,
  ]);
  const path: Path = { name: 'weft', port: weft.port, pids: weft.pids };
  const windows: Window[] = [];
  const during = async (name: string, work: () => Promise<unknown>) => {
    const from = monotonicUs();
    await work();
    windows.push({ name, from, until: monotonicUs() });
  };
  await closedLoopRound(processes, path, backend.pid, CONNECTIONS, WARM_UP_SECONDS);
  await during(`${CONNECTIONS} connections`, () =>
    closedLoopRound(processes, path, backend.pid, CONNECTIONS, SECONDS),
  );
  for (const direction of ['down', 'up']) {
    const args = [file('./body-client.ts'), direction, String(weft.port), String(BODY_BYTES), 'length'];
    await during(`a body ${direction}`, () => processes.run(process.execPath, args, BODY_MS));
  }
  await Promise.all([weft.front.stop(), weft.back.stop()]);
  for (const agent of ['front', 'back']) {
    const [name] = await readdir(folder(agent)).catch(() => []);
    if (name === undefined)
      throw new Error(`the ${agent} agent has written no profile: it did not end cleanly`);
    const profile = JSON.parse(await readFile(join(folder(agent), name), 'utf8')) as CpuProfile;
    for (const window of windows)
      console.log(`\n${agent} agent, ${window.name}\n${selfTimeText(profile, window)}`);
  }
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** The functions with the most time of their own, as shares of the time in which the agent was not idle. */
function selfTimeText(profile: CpuProfile, { from, until }: Window): string {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, frameName(callFrame)]));
  const selfUs = new Map<string, number>();
  let at = profile.startTime;
  let total = 0;
  let idle = 0;
  profile.samples.forEach((id, index) => {
    const spent = profile.timeDeltas[index] ?? 0;
    at += spent;
    if (at < from || at > until) return;
    const name = names.get(id) ?? '?';
    if (name === '(idle)') {
      idle += spent;
      return;
    }
    selfUs.set(name, (selfUs.get(name) ?? 0) + spent);
    total += spent;
  });
  const rows = [...selfUs].toSorted(([, a], [, b]) => b - a).slice(0, ROWS);
  const table = tableText(
    ['function', 'self ms', 'share'],
    rows.map(([name, us]) => [name, figure(us / 1000), `${((us / total) * 100).toFixed(1)} %`]),
  );
  return `busy ${((100 * total) / (total + idle)).toFixed(0)} % of the time\n${table}`;
}

function frameName(frame: CpuProfile['nodes'][number]['callFrame']): string {
  const place =
    frame.url === '' ? '' : ` ${frame.url.split('/').slice(-2).join('/')}:${frame.lineNumber + 1}`;
  return `${(frame.functionName || '(anonymous)').slice(0, NAME_LENGTH)}${place}`;
}
