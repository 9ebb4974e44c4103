import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { rssOf } from './accounting.ts';
import { type Processes, withProcesses } from './processes.ts';
import { measureStalledReader, memoryText } from './stalled-reader.ts';
import { startWeftPair } from './weft-pair.ts';

/** `node bench/memory.ts`: resident memory of idle agents, of idle connections, and behind a reader that stops. */
const CONNECTIONS = 10_000;
const RUN_LIMIT_MS = 120_000;
const START_MS = 10_000;
const OPEN_MS = 60_000;
const SETTLE_MS = 3_000;

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Node raises its own soft limit to the hard one; the hard one is the system's. */
function checkOpenFiles(): void {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  if (hard !== undefined && Number(hard) < CONNECTIONS + 500) {
    throw new Error(`${CONNECTIONS} connections need more than ${hard} open files: ulimit -Hn 20000`);
  }
}

async function measure(processes: Processes): Promise<void> {
  checkOpenFiles();
  const small = processes.start(process.execPath, [file('./backend.ts')]);
  const bulk = processes.start(process.execPath, [file('./body-backend.ts')]);
  const services = { orders: Number(await small.line(START_MS)), bulk: Number(await bulk.line(START_MS)) };
  // The first agents after a change of the sources fill the compile cache; they are not what is measured.
  await (await startWeftPair(processes, services)).stop();
  const settle = () => wait(SETTLE_MS, undefined, { signal: processes.signal });

  const stalling = await startWeftPair(processes, services);
  await settle();
  const stalled = await measureStalledReader(processes, stalling);
  await stalling.stop();

  const weft = await startWeftPair(processes, services);
  await settle();
  const idle = rssOf(weft.pids);
  const args = [file('./idle-connections.ts'), String(weft.port), String(CONNECTIONS)];
  const client = processes.start(process.execPath, args);
  await client.line(OPEN_MS);
  await settle();
  const connected = rssOf(weft.pids);
  const failure = client.failure();
  if (failure !== undefined) throw new Error(failure);
  const more = Object.fromEntries(Object.entries(idle).map(([name, rss]) => [name, connected[name]! - rss]));

  const report = { idle, [`${CONNECTIONS} idle connections, more`]: more, ...stalled };
  console.log(memoryText(report));
  await mkdir(file('./results/'), { recursive: true });
  await writeFile(
    file('./results/memory.json'),
    `${JSON.stringify({ at: new Date().toISOString(), report }, null, 1)}\n`,
  );
  console.log('\nwritten: bench/results/memory.json');
}

try {
  await withProcesses(RUN_LIMIT_MS, measure);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
