/**
 * `npm start`: a mesh of two agents, sample applications, and real requests through it. Then it says what to try
 * and runs until Ctrl-C. With `--once` or CI=true it ends after the requests: 0 if all went well, else 1.
 */
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Child, startChild } from './children.ts';
import { type DemoPlan, findBusyPort, planDemo } from './plan.ts';
import { stepsOf, whatToTry } from './story.ts';
import { showTraffic } from './transcript.ts';

const FRONTEND_PORT = 18080;
const PARENT_CHECK_MS = 1_000;
const folder = fileURLToPath(new URL('.', import.meta.url));
const meshFile = `${folder}mesh.yaml`;
const logFile = `${folder}.weft/demo.log`;
const endsAfterTraffic = readOptions() || process.env.CI === 'true';

/** True for `--once`. Ends the process for `--help`, and for anything that is not an option. */
function readOptions(): boolean {
  const usage = 'npm start [-- --once]: a demo mesh; with --once (or CI=true) it ends after its requests';
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean' }, help: { type: 'boolean' } } });
    if (values.help) {
      process.stdout.write(`${usage}\n`);
      process.exit(0);
    }
    return values.once === true;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`);
    process.exit(2);
  }
}

const asked = Promise.withResolvers<number>();
const print = (line: string) => void process.stdout.write(`${line}\n`);
// Ctrl-C ends whatever reads this at the same time (`npm start | tee log`), and a terminal can be closed.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => asked.resolve(0));
const running: Child[] = [];
let ending = false;

async function startAll(plan: DemoPlan): Promise<void> {
  const busy = await findBusyPort(plan.ports);
  if (busy !== undefined)
    throw new Error(`${busy}.\nEnd what uses it, or change the port in demo/mesh.yaml.`);

  mkdirSync(`${folder}.weft`, { recursive: true, mode: 0o700 });
  const log = openSync(logFile, 'w', 0o600);
  print('Starting the sample applications and the mesh …');
  for (const { instance, script, port, door } of plan.applications) {
    const env = { PORT: String(port), INSTANCE: instance, DOOR: door };
    const times = { readyLine: 'listening', readyMsMax: 20_000, endMsMax: 5_000 };
    running.push(
      startChild({
        name: instance,
        command: process.execPath,
        args: [`${folder}${script}`],
        env,
        ...times,
        log,
      }),
    );
  }
  await Promise.all(running.map(({ ready }) => ready));
  const times = { readyLine: 'weft: ready', readyMsMax: 60_000, endMsMax: 40_000 };
  const mesh = {
    name: 'weft up',
    command: `${folder}../bin/weft`,
    args: ['up', '-f', meshFile],
    ...times,
    log,
  };
  if (ending) throw new Error('it was asked to end');
  running.push(startChild(mesh));
  await running.at(-1)?.ready;
  print('The mesh is ready: NATS and two agents, web-1 and app-1. Requests through it:\n');
}

async function endAll(): Promise<void> {
  ending = true;
  // The mesh was started last and goes first, so that it finishes what the applications still answer.
  for (const child of running.toReversed()) await child.end();
}

/** @returns the exit code */
async function runDemo(): Promise<number> {
  const plan = planDemo(readFileSync(meshFile, 'utf8'), FRONTEND_PORT);
  await startAll(plan);
  const failures = await showTraffic(stepsOf(plan, FRONTEND_PORT), print);
  if (failures > 0) print(`\n${failures} requests did not go as they should; the log is ${logFile}`);
  if (endsAfterTraffic) return failures === 0 ? 0 : 1;
  print(whatToTry(plan, FRONTEND_PORT));
  const death = await Promise.race(running.map(async ({ name, ended }) => `${name} ${await ended}`));
  throw new Error(`${death}; the log is ${logFile}`);
}

let signals = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    signals += 1;
    if (signals > 1) void endAll();
    asked.resolve(0);
  });
}
if (process.env.npm_lifecycle_event === 'start') {
  // npm passes signals on, but not its own death by SIGKILL.
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && asked.resolve(1), PARENT_CHECK_MS).unref();
}

try {
  process.exitCode = await Promise.race([runDemo(), asked.promise]);
} catch (error) {
  process.stderr.write(`\nThe demo cannot go on: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
print('\nEnding the mesh and the applications …');
await endAll();
process.exit();
