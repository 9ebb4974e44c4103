/**
 * Garbage that V8 would leave lying. Its collector is called through `gc`, which scripts/node and bin/weft have
 * exposed (`--expose-gc`); without it nothing here has an effect but the agent takes more memory.
 */
import { LIMITS } from '../protocol/limits.ts';

const collect = globalThis.gc;

/**
 * Gives back what loading and starting has left behind: one full collection, before the first request. V8 would
 * not collect so small a heap for hours; measured, an idle agent is 9 MiB smaller for it.
 */
export function releaseStartMemory(): void {
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/**
 * Gives back the memory of body bytes that have passed. Each 64 KiB of a body leaves some buffers behind whose
 * handles are tiny, so V8, which counts handles, would let a hundred megabytes pile up, and would collect the whole
 * heap every few of them. A collection of the young generation for each MiB costs a third of that; measured, bodies
 * move twice as fast.
 */
export class BodyGarbage {
  #bytes = 0;

  /** `bytes` of a packet have been written or read. */
  passed(bytes: number): void {
    if (bytes < LIMITS.bodyPacketBytesMin) return;
    this.#bytes += bytes;
    if (this.#bytes < LIMITS.garbageBytesMax) return;
    this.#bytes = 0;
    collect?.({ type: 'minor' });
  }
}
