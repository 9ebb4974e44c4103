import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Started, type StartedInFull, startProcess } from './started-process.ts';

/**
 * The processes of a run and its temporary folder. Invariants:
 * P1 every process is started here and ended here by its own handle, also after an error, Ctrl-C or the time limit;
 *    after SIGKILL of the bench, the guards end them;
 * P2 nothing is waited for without a limit.
 */
export interface Processes {
  /** Removed at the end. */
  readonly folder: string;
  /** Aborted on Ctrl-C, SIGTERM and at the time limit. */
  readonly signal: AbortSignal;
  start(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): Started;
  /** Runs a command to its end and gives its standard output. @throws Error with its standard error. */
  run(command: string, args: readonly string[], timeoutMs: number): Promise<string>;
  /** To be called at the end, after the processes have ended: for what is not started here. */
  onEnd(action: () => Promise<void>): void;
}

/** Does `work` with processes that do not outlive it. `limitMs` bounds the whole run. */
export async function withProcesses<T>(
  limitMs: number,
  work: (processes: Processes) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const interrupt = (name: string) => ending.abort(new Error(`ended by ${name}`));
  const limit = setTimeout(() => ending.abort(new Error(`not done after ${limitMs / 1000} s`)), limitMs);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const folder = await mkdtemp(join(tmpdir(), 'weft-bench-'));
  const started: Started[] = [];
  const atEnd: (() => Promise<void>)[] = [];

  const start = (command: string, args: readonly string[], env?: NodeJS.ProcessEnv): StartedInFull => {
    ending.signal.throwIfAborted();
    const process_ = startProcess(command, args, { ...process.env, ...env });
    started.push(process_);
    return process_;
  };
  const run = async (command: string, args: readonly string[], timeoutMs: number) => {
    const process_ = start(command, args);
    const timer = setTimeout(() => void process_.stop(), timeoutMs);
    const failure = await process_.ended;
    clearTimeout(timer);
    ending.signal.throwIfAborted();
    if (failure !== undefined) throw new Error(failure);
    return process_.output();
  };
  const aborted = new Promise<never>((_, reject) => {
    ending.signal.addEventListener('abort', () => reject(ending.signal.reason));
  });
  const parts = Object.freeze({
    folder,
    signal: ending.signal,
    start,
    run,
    onEnd: (action: () => Promise<void>) => {
      atEnd.push(action);
      if (ending.signal.aborted) void action();
    },
  });
  try {
    return await Promise.race([work(parts), aborted]);
  } finally {
    // From here on nothing new may start, also not from work that lost the race above.
    aborted.catch(() => undefined);
    ending.abort(new Error('the run is over'));
    clearTimeout(limit);
    await Promise.all(started.map((one) => one.stop()));
    await Promise.allSettled(atEnd.map((action) => action()));
    await rm(folder, { recursive: true, force: true });
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}
