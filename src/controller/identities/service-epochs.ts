/**
 * The epochs of a service's key. Its number is the second in which it was made, so that after the loss of all records the
 * next one is new all the same, and opens nothing that an agent of before has kept.
 */
import { LIMITS } from '../../protocol/limits.ts';
import type { Roots } from '../roots.ts';
import type { ServiceEpoch, ServiceKeysRecord } from './identity-record.ts';

type Epochs = readonly ServiceEpoch[];

/** The first key of a service: whoever serves it gets it with the grant that made it. */
export function firstEpoch(service: string, root: string, nowMs: number): ServiceKeysRecord {
  return { service, keys: [{ epoch: Math.floor(nowMs / 1000), fromMs: nowMs, root }] };
}

/** One more key, that callers use from `fromMs` on; what was to follow and has not begun is dropped for it. */
export function nextEpoch(
  { service, keys }: ServiceKeysRecord,
  root: string,
  nowMs: number,
  fromMs: number,
): ServiceKeysRecord {
  const begun = keys.filter((key) => key.fromMs <= nowMs);
  const last = keys.at(-1)?.epoch ?? 0;
  const epoch = Math.max(Math.floor(nowMs / 1000), last + 1);
  return { service, keys: [...begun.slice(-1), { epoch, fromMs, root }] };
}

/**
 * Those that still open something, and that can still be derived: not those that another one has taken the place of for longer
 * than a packet may take.
 */
export function openEpochs(keys: Epochs, roots: Roots, nowMs: number): Epochs {
  return keys.filter(({ root }, at) => {
    const next = keys[at + 1];
    const opens = next === undefined || nowMs <= next.fromMs + LIMITS.serviceKeyOverlapMs;
    return opens && roots.of(root) !== undefined;
  });
}

/** Whether a new key is asked for: by the schedule, or because another root signs now. */
export function isDue(keys: Epochs, roots: Roots, nowMs: number): boolean {
  const last = keys.at(-1);
  if (last === undefined) return false;
  return nowMs - last.fromMs >= LIMITS.serviceKeyMs || last.root !== roots.present.publicKey;
}
