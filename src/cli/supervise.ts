import { setTimeout as wait } from 'node:timers/promises';

/** A process that runs. */
export interface Child {
  /** Resolves with how it ended: an exit code or a signal. */
  readonly exited: Promise<string>;
  signal(name: NodeJS.Signals): void;
}

/**
 *   starting ──established()──▶ running ◀──back-off──▶ ended, starts again
 *      └─ ends: `failed`          └──stop()──▶ stopped (also from the back-off)
 */
export interface Supervised {
  /** Rejects if the process ends before `established()`: then starting it again would not help. */
  readonly failed: Promise<never>;
  established(): void;
  /** SIGTERM, and SIGKILL after the grace; resolves when it is gone and stays gone. */
  stop(graceMs: number): Promise<void>;
  kill(): void;
}

const BACKOFF_BASE_MS = 250;
const BACKOFF_CAP_MS = 10_000;
/** Whoever has run this long has recovered: the next back-off starts small again. */
const RECOVERED_MS = 30_000;

/** Keeps a process running. `say` hears of every end and every new start that failed, with the name. */
export function supervise(
  name: string,
  first: Child,
  start: () => Promise<Child>,
  say: (what: string) => void,
): Supervised {
  const stopping = new AbortController();
  const failure = Promise.withResolvers<never>();
  // Nobody may be looking yet.
  failure.promise.catch(() => {});
  let child: Child | undefined = first;
  let established = false;

  const keepRunning = async () => {
    let delayMs = BACKOFF_BASE_MS;
    for (;;) {
      const since = performance.now();
      const how = child === undefined ? 'did not start' : await child.exited;
      child = undefined;
      if (stopping.signal.aborted) return;
      if (!established) return failure.reject(new Error(`${name} ended at start (${how}); its log says why`));
      if (performance.now() - since >= RECOVERED_MS) delayMs = BACKOFF_BASE_MS;
      say(`${name} ended (${how}); starting again in ${delayMs} ms`);
      await wait(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      delayMs = Math.min(2 * delayMs, BACKOFF_CAP_MS);
      child = await start().catch((error: Error) => void say(`${name}: ${error.message}`));
      if (stopping.signal.aborted) child?.signal('SIGTERM');
    }
  };
  const over = keepRunning();

  return Object.freeze({
    failed: failure.promise,
    established: () => {
      established = true;
    },
    async stop(graceMs: number) {
      stopping.abort();
      child?.signal('SIGTERM');
      const timer = setTimeout(() => child?.signal('SIGKILL'), graceMs);
      await over;
      clearTimeout(timer);
    },
    kill: () => child?.signal('SIGKILL'),
  });
}
