import { fileURLToPath } from 'node:url';
import { findNatsServer } from '../src/cli/nats-binary.ts';
import { startNatsServer } from '../src/cli/nats-server.ts';
import { memoryOf, resetHighWater, rssOf } from './accounting.ts';
import type { BodyFigures } from './body-client.ts';
import type { Processes } from './processes.ts';
import { median } from './statistics.ts';
import { figure, mebibytes, tableText } from './table.ts';
import { startWeftPair } from './weft-pair.ts';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const CLIENT = file('./body-client.ts');
const START_MS = 10_000;
/** Slow enough for any machine that this is worth running on: 10 MB/s. */
const BYTES_PER_MS_LEAST = 10_000;

/** One way of moving a body: medians over the rounds, and how far memory rose above the idle state. */
export interface BodySummary {
  readonly name: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly megabytesPerSecond: number;
  /** To nats.js alone in the same round. */
  readonly ratio: number;
  /** The highest of all rounds, by process, in bytes. */
  readonly memoryRise: Readonly<Record<string, number>>;
}

interface Mover {
  readonly name: string;
  readonly pids: Readonly<Record<string, number>>;
  /** What each process had before its first body. */
  readonly idle: Readonly<Record<string, number>>;
  move(): Promise<BodyFigures>;
}

/** Moves a body of `bytes` in each way, `rounds` times in turn: direct, nats.js alone, and through Weft. */
export async function measureBodies(
  processes: Processes,
  bytes: number,
  rounds: number,
  withWeft: boolean,
): Promise<BodySummary[]> {
  const backend = processes.start(process.execPath, [file('./body-backend.ts')]);
  const backendPort = Number(await backend.line(START_MS));
  const timeoutMs = START_MS + bytes / BYTES_PER_MS_LEAST;
  const through = (port: number, direction: string, framing: string) => async () => {
    const args = [CLIENT, direction, String(port), String(bytes), framing];
    return JSON.parse(await processes.run(process.execPath, args, timeoutMs)) as BodyFigures;
  };
  const movers: Mover[] = [await sealedNats(processes, bytes, timeoutMs)];
  for (const direction of ['down', 'up']) {
    const move = through(backendPort, direction, 'length');
    movers.push({ name: `direct ${direction}, content-length`, pids: {}, idle: {}, move });
  }
  if (withWeft) {
    const weft = await startWeftPair(processes, { bulk: backendPort });
    const idle = rssOf(weft.pids);
    for (const direction of ['down', 'up']) {
      for (const framing of ['length', 'chunked']) {
        const name = `weft ${direction}, ${framing === 'length' ? 'content-length' : framing}`;
        movers.push({ name, pids: weft.pids, idle, move: through(weft.port, direction, framing) });
      }
    }
  }
  const results = new Map(movers.map((mover) => [mover.name, [] as BodyFigures[]]));
  const rises = new Map(movers.map((mover) => [mover.name, {} as Record<string, number>]));
  for (let round = 0; round < rounds; round++) {
    for (const mover of movers) {
      const { result, rise } = await memoryRise(mover.pids, mover.idle, mover.move);
      results.get(mover.name)!.push(result);
      const highest = rises.get(mover.name)!;
      for (const [name, value] of Object.entries(rise)) highest[name] = Math.max(highest[name] ?? 0, value);
    }
  }
  const alone = results.get(movers[0]!.name)!;
  return movers.map(({ name }) => {
    const own = results.get(name)!;
    const seconds = median(own.map((one) => one.seconds));
    const ratio = median(own.map((one, round) => alone[round]!.seconds / one.seconds));
    const memoryRise = rises.get(name)!;
    return { name, bytes, seconds, megabytesPerSecond: bytes / seconds / 1e6, ratio, memoryRise };
  });
}

/** Runs `work` and says how far the high-water mark of each process rose above `idle`, in bytes. */
export async function memoryRise<T>(
  pids: Readonly<Record<string, number>>,
  idle: Readonly<Record<string, number>>,
  work: () => Promise<T>,
) {
  for (const pid of Object.values(pids)) resetHighWater(pid);
  const result = await work();
  const rise = Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => [name, memoryOf(pid).highWater - idle[name]!]),
  );
  return { result, rise };
}

async function sealedNats(processes: Processes, bytes: number, timeoutMs: number): Promise<Mover> {
  const binary = await findNatsServer(process.env.PATH ?? '');
  const bus = await startNatsServer({ binary, port: 0, storeDir: `${processes.folder}/plain-nats` });
  processes.onEnd(() => bus.stop());
  const args = (role: string) => [file('./sealed-nats.ts'), role, bus.url, String(bytes)];
  const move = async () => {
    const receiver = processes.start(process.execPath, args('receive'));
    await receiver.line(START_MS);
    const figures = JSON.parse(await processes.run(process.execPath, args('send'), timeoutMs));
    await receiver.stop();
    return figures as BodyFigures;
  };
  return { name: 'nats.js alone, sealed', pids: {}, idle: {}, move };
}

export function bodiesText(summaries: readonly BodySummary[]): string {
  const rows = summaries.map((one) => [
    one.name,
    figure(one.seconds),
    figure(one.megabytesPerSecond),
    `${figure(one.ratio)}×`,
    Object.entries(one.memoryRise)
      .map(([name, bytes]) => `${name} +${mebibytes(bytes)}`)
      .join(', '),
  ]);
  return tableText(['body', 'seconds', 'MB/s', 'MB/s / nats.js', 'memory high water, MiB'], rows);
}
