import type { Mirror } from '../snapshot.ts';

/** True if a request is one of the share that is copied. `random`: from 0 to 1. */
export function mirrored({ fraction }: Mirror, random: number): boolean {
  return fraction >= 1 || random < fraction;
}
