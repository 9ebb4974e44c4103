/**
 * Which of two publications about a service is newer. Numbers grow within one store; a store that was lost and made
 * anew starts again at 1, and is newer because it was made later.
 */

import { LIMITS } from './limits.ts';

/** [when the store was made (ms), number within it] */
export type Revision = readonly [epoch: number, number: number];

/** Below everything that is published. */
export const NO_REVISION: Revision = Object.freeze([0, 0] as const);

/** Negative if `a` is older than `b`, 0 if they are the same. */
export function compareRevisions(a: Revision, b: Revision): number {
  return a[0] - b[0] || a[1] - b[1];
}

export function isRevision(value: unknown): value is Revision {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((part) => Number.isSafeInteger(part) && (part as number) >= 0)
  );
}

/** Whether it may be what the root has signed of how far a store had come; nothing of it has been checked. */
export function isHeadProof(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LIMITS.headProofBytesMax;
}
