/**
 * One call to the controller, made again while nobody takes it or answers it.
 * Copies of a call are carried out once, whoever gets them (`controller/api/call-guard.ts`); of two calls both are. So:
 * R1 While it is not known what has become of a copy, only further copies are sent.
 * R2 A new call is made only when every copy has come back from where nothing was done with it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { ApiAnswer } from '../protocol/api-call.ts';

/** What became of one copy; `failed`: the connection broke, or NATS does not let it pass. */
export type Try<Response> =
  | { readonly kind: 'answered'; readonly answer: ApiAnswer<Response> }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'silence' }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface CallTimes {
  /** For how long somebody is sought who takes it. */
  readonly takenMs: number;
  /** For how long in all an answer is waited for. */
  readonly answeredMs: number;
  /** Who has not answered after this may hang, and another one may have taken over: a copy goes out. */
  readonly copyMs: number;
  /** Then the next one, because the bus hands copies to who hangs as well. */
  readonly nextCopyMs: number;
  readonly pollMs: number;
}

/**
 * @param make a new call, signed if it has to be
 * @param send resolves within the time and never rejects
 * @returns `nobody`: nothing was done; `silence`: it is not known
 */
export async function tryCall<Response>(
  make: () => Promise<string>,
  send: (call: string, timeoutMs: number) => Promise<Try<Response>>,
  { takenMs, answeredMs, copyMs, nextCopyMs, pollMs }: CallTimes,
): Promise<Try<Response>> {
  const startMs = performance.now();
  const passedMs = () => performance.now() - startMs;
  for (;;) {
    const call = await make();
    const open = new Set<Promise<Try<Response>>>();
    let copies = 0;
    let denied: Try<Response> | undefined;
    let idle: Try<Response> | undefined;
    do {
      if (denied === undefined) {
        copies += 1;
        open.add(send(call, Math.max(answeredMs - passedMs(), 1)));
      }
      const pauseMs = copies === 1 ? copyMs : nextCopyMs;
      const came = await firstOf(open, denied === undefined ? pauseMs : answeredMs);
      if (came === undefined) continue;
      if (hasDoneNothing(came)) idle = came;
      // Whoever refuses a copy as one knows the call: what it has done with it is told by the answer that is still to come.
      else if (copies > 1 && code(came) === 'denied') denied = came;
      else return came;
      if (open.size > 0) await wait(pollMs);
    } while (open.size > 0);
    if (idle === undefined && denied !== undefined) return denied;
    if (passedMs() >= takenMs) return { kind: 'nobody' };
    await wait(pollMs);
  }
}

/** Takes out the first that comes within the time. */
async function firstOf<T>(open: Set<Promise<T>>, ms: number): Promise<T | undefined> {
  const timer = new AbortController();
  const late = wait(ms, undefined, { signal: timer.signal }).catch(() => undefined);
  const each = [...open].map((one) => one.then((value) => ({ one, value })));
  const first = await Promise.race([...each, late]);
  timer.abort();
  if (first === undefined) return undefined;
  open.delete(first.one);
  return first.value;
}

function hasDoneNothing(came: Try<unknown>): boolean {
  return came.kind === 'nobody' || code(came) === 'not_leading';
}

function code(came: Try<unknown>): string | undefined {
  return came.kind === 'answered' && !came.answer.ok ? came.answer.error.code : undefined;
}
