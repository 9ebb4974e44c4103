import { setTimeout as wait } from 'node:timers/promises';
import { LIMITS } from '../protocol/limits.ts';

/**
 * Tries again each second until it is done.
 * @param failing hears why a try has failed, each reason once. What it throws ends the tries.
 * @returns undefined once `signal` is aborted
 */
export async function untilDone<T>(
  attempt: () => Promise<T>,
  signal: AbortSignal,
  failing: (reason: string, error: unknown) => void,
): Promise<T | undefined> {
  for (let said = ''; !signal.aborted; ) {
    try {
      return await attempt();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== said) failing(reason, error);
      said = reason;
    }
    await wait(LIMITS.redialMs, undefined, { signal }).catch(() => {});
  }
  return undefined;
}
