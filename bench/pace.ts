import { parentPort, workerData } from 'node:worker_threads';

/**
 * Thread that says when a request is due. Event-loop timers are whole milliseconds and a spinning loop would take a
 * processor from the proxies; a thread that sleeps in a futex is neither late nor busy.
 */
export interface Pace {
  /** process.hrtime of the first request. */
  readonly startNs: bigint;
  readonly intervalNs: bigint;
  readonly count: number;
}

const { startNs, intervalNs, count } = workerData as Pace;
const never = new Int32Array(new SharedArrayBuffer(4));
for (let index = 0; index < count; index++) {
  const leftNs = startNs + BigInt(index) * intervalNs - process.hrtime.bigint();
  if (leftNs > 0n) Atomics.wait(never, 0, 0, Number(leftNs) / 1e6);
  parentPort?.postMessage(index);
}
