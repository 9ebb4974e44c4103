import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bodiesText, measureBodies } from './bodies.ts';
import { closedLoopRound } from './closed-loop.ts';
import { openLoopRound } from './open-loop.ts';
import { PATH_NAMES, type Path, type PathName, startPath } from './paths.ts';
import { type Processes, withProcesses } from './processes.ts';
import { profileAgents } from './profile.ts';
import { summarize, summaryText } from './summary.ts';
import { missingTools } from './tools.ts';

/**
 * `npm run bench`: every path side by side with one backend and one load generator. The machine drifts by tens of per
 * cent, so the paths take turns in short rounds, and what counts are medians of the ratios within a round.
 */
const HELP = `npm run bench -- [options]
  --quick          a minute instead of ten
  --paths LIST     of ${PATH_NAMES.join(',')} (default: all but weft-routes)
  --parts LIST     of closed,open,bodies (default: all)
  --name NAME      results go to bench/results/NAME.json (default: latest)
  --profile        instead of all that: CPU profile of both agents under load
`;
const PARTS = ['closed', 'open', 'bodies'] as const;
const CONNECTIONS = [1, 32, 128];
const FULL = { rounds: 5, seconds: 3, openRounds: 3, openSeconds: 5, bodyRounds: 2, bodyBytes: 2 ** 30 };
const QUICK = { rounds: 2, seconds: 1, openRounds: 1, openSeconds: 2, bodyRounds: 1, bodyBytes: 2 ** 28 };
const RUN_LIMIT_MS = 10 * 60_000;
const WARM_UP_SECONDS = 2;
const START_MS = 10_000;

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      paths: { type: 'string', default: PATH_NAMES.filter((name) => name !== 'weft-routes').join() },
      parts: { type: 'string', default: PARTS.join() },
      name: { type: 'string', default: 'latest' },
    },
  });
  if (!/^[\w.-]+$/.test(values.name)) throw new Error(`--name ${values.name}: letters, digits, . _ - only`);
  const paths = readList('--paths', values.paths, PATH_NAMES);
  return { ...values, paths, parts: readList('--parts', values.parts, PARTS) };
}

function readList<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  const unknown = text.split(',').find((word) => !known.some((one) => one === word));
  if (unknown !== undefined) throw new Error(`${option} ${unknown}: expected some of ${known.join()}`);
  return known.filter((one) => text.split(',').includes(one));
}

/** What this machine can run of `wanted`; what it cannot is said. */
async function runnable<T extends PathName>(wanted: readonly T[]) {
  const missing = await missingTools(process.env.PATH ?? '');
  for (const [tool, use] of missing) console.log(`${tool} is not here, its rows are left out: ${use}`);
  const names: readonly string[] = [...missing.keys()];
  return { paths: wanted.filter((path) => !names.includes(path)), wrk: !missing.has('wrk') };
}

/** Calls `measure` for every path, `rounds` times, each round beginning with another path. */
async function inTurns<T>(paths: readonly Path[], rounds: number, measure: (path: Path) => Promise<T>) {
  const results: T[][] = [];
  for (let round = 0; round < rounds; round++) {
    const byPath = new Map<Path, T>();
    for (let turn = 0; turn < paths.length; turn++) {
      const path = paths[(round + turn) % paths.length]!;
      byPath.set(path, await measure(path));
    }
    results.push(paths.map((path) => byPath.get(path)!));
  }
  return results;
}

async function measureAll(processes: Processes, options: ReturnType<typeof readOptions>) {
  const size = options.quick ? QUICK : FULL;
  const has = (part: (typeof PARTS)[number]) => options.parts.includes(part);
  const { paths: names, wrk } = await runnable(options.paths);
  const report: Record<string, unknown> = {
    at: new Date().toISOString(),
    machine: { cpu: cpus()[0]?.model, cpus: cpus().length, memory: totalmem(), kernel: release() },
    node: process.version,
    size,
  };
  const backend = processes.start(process.execPath, [
    fileURLToPath(new URL('./backend.ts', import.meta.url)),
  ]);
  const backendPort = Number(await backend.line(START_MS));
  const paths: Path[] = [];
  if (has('closed') || has('open')) {
    for (const name of names) paths.push(await startPath(name, processes, backendPort));
  }

  if (has('closed') && wrk) {
    for (const path of paths) {
      await closedLoopRound(processes, path, backend.pid, Math.max(...CONNECTIONS), WARM_UP_SECONDS);
    }
    for (const connections of CONNECTIONS) {
      const rounds = await inTurns(paths, size.rounds, (path) =>
        closedLoopRound(processes, path, backend.pid, connections, size.seconds),
      );
      const summary = summarize(rounds);
      report[`closed${connections}`] = { summary, rounds };
      console.log(`\n${connections} connections, closed loop\n${summaryText(summary)}`);
    }
  }
  if (has('open')) {
    const rounds = await inTurns(paths, size.openRounds, (path) =>
      openLoopRound(processes, path, backend.pid, size.openSeconds),
    );
    const summary = summarize(rounds);
    report.open = { summary, rounds };
    console.log(`\n1,000 POST requests/s of 1 KiB, open loop\n${summaryText(summary)}`);
  }
  if (has('bodies')) {
    const summary = await measureBodies(processes, size.bodyBytes, size.bodyRounds, names.includes('weft'));
    report.bodies = summary;
    console.log(`\none body of ${size.bodyBytes / 2 ** 20} MiB\n${bodiesText(summary)}`);
  }
  const folder = fileURLToPath(new URL('./results/', import.meta.url));
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}${options.name}.json`, `${JSON.stringify(report, null, 1)}\n`);
  console.log(`\nwritten: bench/results/${options.name}.json`);
}

// Debian keeps nginx and haproxy where the PATH of people who are not root does not look.
process.env.PATH = [process.env.PATH, '/usr/sbin', '/usr/local/sbin'].join(delimiter);
try {
  const options = readOptions();
  if (options.help) console.log(HELP);
  else if (options.profile) await withProcesses(RUN_LIMIT_MS, profileAgents);
  else await withProcesses(RUN_LIMIT_MS, (processes) => measureAll(processes, options));
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
