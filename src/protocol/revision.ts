/**
 * Which of two publications about a service is newer. Numbers grow within one store; a store that was lost and made
 * anew starts again at 1, and is newer because it was made later.
 */

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
