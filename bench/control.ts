import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from '../src/cli/nats-binary.ts';
import { startNatsServer } from '../src/cli/nats-server.ts';
import { createOperator } from './operator.ts';
import { freePort } from './ports.ts';
import { type Processes, withProcesses } from './processes.ts';
import { percentile } from './statistics.ts';
import { figure, tableText } from './table.ts';

/**
 * `npm run bench:control`: from the moment at which an operator sends a change until every agent that uses the service has
 * applied it. Agents are simulated: each has its own connection, heartbeats and signed snapshots, but no doors.
 */
const SIZES = [50, 2_000];
const CHANGES = 20;
/** A change of a service that no agent uses follows each one that they do. */
const PAUSE_MS = 1_000;
const RUN_LIMIT_MS = 300_000;
const START_MS = 120_000;
const MESH = 'bench';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const NODE = file('../scripts/node');
const WEFT = file('../src/cli/weft.ts');

interface Row {
  readonly agents: number;
  readonly appliedMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly unusedMessages: number;
}

async function measure(processes: Processes): Promise<Row[]> {
  const rows: Row[] = [];
  for (const agents of SIZES) {
    const folder = join(processes.folder, `control-${agents}`);
    await mkdir(folder);
    await processes.run(NODE, [WEFT, 'init', '--dir', folder, '--mesh', MESH], START_MS);
    const root = join(folder, 'root.nk');
    const binary = await findNatsServer(process.env.PATH ?? '');
    const bus = await startNatsServer({ binary, port: 0, storeDir: join(folder, 'nats') });
    processes.onEnd(() => bus.stop());
    const admin = `127.0.0.1:${await freePort()}`;
    const options = ['--nats', bus.url, '--mesh', MESH, '--root', root, '--admin', admin];
    const controller = processes.start(NODE, [WEFT, 'controller', ...options, '--log-level', 'warn']);
    const operator = await createOperator(bus.url, MESH, root);
    await operator.untilLeading(START_MS);
    const fleet = processes.start(NODE, [file('./simulated-agents.ts'), bus.url, MESH, root, String(agents)]);
    await fleet.line(START_MS);

    const delays: number[] = [];
    let unusedMessages = 0;
    for (let change = 1; change <= CHANGES; change++) {
      const sentMs = Date.now();
      await operator.apply('orders', change);
      const { appliedAtMs } = JSON.parse(await fleet.line(START_MS)) as { appliedAtMs: number[] };
      if (change > 1) for (const at of appliedAtMs) delays.push(at - sentMs);
      const before = await operator.ask('simulated.messages');
      await operator.apply('unused', change);
      await wait(PAUSE_MS, undefined, { signal: processes.signal });
      unusedMessages += (await operator.ask('simulated.messages')) - before;
    }
    const [p50, p99, max] = [percentile(delays, 0.5), percentile(delays, 0.99), percentile(delays, 1)];
    rows.push({ agents, appliedMs: { p50, p99, max }, unusedMessages });
    await operator.close();
    await fleet.stop();
    await controller.stop();
    await bus.stop();
  }
  return rows;
}

try {
  const rows = await withProcesses(RUN_LIMIT_MS, measure);
  const header = ['agents', 'applied p50 ms', 'p99 ms', 'last ms', 'messages of unused service'];
  const cells = rows.map(({ agents, appliedMs: { p50, p99, max }, unusedMessages }) =>
    [agents, figure(p50), figure(p99), figure(max), unusedMessages].map(String),
  );
  process.stdout.write(`${tableText(header, cells)}\n`);
  await mkdir(file('./results/'), { recursive: true });
  const text = JSON.stringify({ at: new Date().toISOString(), rows }, null, 1);
  await writeFile(file('./results/control.json'), `${text}\n`);
  if (!process.stdout.write('\nwritten: bench/results/control.json\n')) await once(process.stdout, 'drain');
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
