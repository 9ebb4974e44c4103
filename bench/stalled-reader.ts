import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { rssOf } from './accounting.ts';
import { memoryRise } from './bodies.ts';
import type { Processes } from './processes.ts';
import { mebibytes, tableText } from './table.ts';
import type { WeftPair } from './weft-pair.ts';

const CLIENT = fileURLToPath(new URL('./body-client.ts', import.meta.url));
const BODY_BYTES = 2 ** 30;
const START_MS = 10_000;
/** Unchecked, a sender would have pushed more than 1 GiB into some buffer by then. */
const HOLD_MS = 5_000;

/** How far memory rises while the reader of a 1 GiB body stops after the head; by direction and process, in bytes. */
export async function measureStalledReader(processes: Processes, weft: WeftPair) {
  const idle = rssOf(weft.pids);
  const result: Record<string, Readonly<Record<string, number>>> = {};
  for (const direction of ['down', 'up']) {
    const { rise } = await memoryRise(weft.pids, idle, async () => {
      const args = [CLIENT, `stall-${direction}`, String(weft.port), String(BODY_BYTES), 'length'];
      const client = processes.start(process.execPath, args);
      await client.line(START_MS);
      await wait(HOLD_MS, undefined, { signal: processes.signal });
      const failure = client.failure();
      if (failure !== undefined) throw new Error(failure);
      await client.stop();
    });
    result[`stalled reader, ${direction}`] = rise;
  }
  return result;
}

export function memoryText(rises: Readonly<Record<string, Readonly<Record<string, number>>>>): string {
  const columns = Object.keys(Object.values(rises)[0] ?? {});
  const rows = Object.entries(rises).map(([name, rise]) => [
    name,
    ...columns.map((column) => mebibytes(rise[column] ?? Number.NaN)),
  ]);
  return tableText(['MiB', ...columns], rows);
}
