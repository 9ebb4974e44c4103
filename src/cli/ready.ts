import { setTimeout as wait } from 'node:timers/promises';

const POLL_MS = 50;
const ANSWER_MS = 2_000;

/**
 * Resolves when the agent with this admin address is ready, or when `signal` is aborted. `pid`: of the process that
 * it is; another mesh may have an agent at that address.
 */
export async function untilReady(
  admin: string,
  pid: () => number | undefined,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const limits = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const answer = await fetch(`http://${admin}/readyz`, { signal: limits }).catch(() => undefined);
    const said = (await answer?.json().catch(() => undefined)) as { pid?: unknown } | undefined;
    if (answer?.status === 200 && said?.pid === pid()) return;
    await wait(POLL_MS, undefined, { signal }).catch(() => {});
  }
}
