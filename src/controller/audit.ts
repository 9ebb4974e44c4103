/**
 * Writes down what was done, in a stream. What is done holds whether or not it can be written: it waits here, up to a limit,
 * until the stream takes it.
 *
 * A1  Entries reach the stream in the order of their numbers, each once.
 * A2  What is left out is counted; a change that is leaves a gap in the numbers too. Of refusals there are too many at times.
 */
import { type KeyObject, randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { type AuditEntry, type AuditEvent, signAuditEntry } from '../protocol/audit-entry.ts';
import { auditSubject } from '../protocol/subjects.ts';
import type { AuditStream } from './audit-stream.ts';
import { CONTROLLER_LIMITS } from './limits.ts';

export interface Audit {
  /** Never throws, and is not waited for. Call it when the change holds. */
  record(event: AuditEvent): void;
  /** Entries that the stream has not taken yet. */
  readonly waiting: number;
  /** Gives what waits a last moment. */
  stop(): Promise<void>;
}

export interface AuditOptions {
  readonly stream: Pick<AuditStream, 'write'>;
  readonly mesh: string;
  /** Process of this controller. */
  readonly controller: string;
  readonly signingKey: KeyObject;
  /** What one message may hold, bytes. */
  readonly payloadBytesMax: () => number;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  readonly counted: (result: 'written' | 'lost' | 'failed') => void;
  /** The stream takes nothing; `undefined`: it does again. Once for each such time. */
  readonly failing: (error: unknown) => void;
}

const OVERHEAD_BYTES = 1_024;
const MINUTE_MS = 60_000;

export function createAudit(options: AuditOptions): Audit {
  const { stream, mesh, controller, signingKey, payloadBytesMax, wallMs, counted, failing } = options;
  const queue: { readonly id: string; readonly subject: string; readonly text: string }[] = [];
  let bytes = 0;
  let number = 0;
  let pumping: Promise<void> | undefined;
  const stopping = new AbortController();
  /** Since when refusals are counted, and how many there were. */
  let refusals = { sinceMs: Number.NEGATIVE_INFINITY, count: 0 };

  const tooManyRefusals = (): boolean => {
    const nowMs = wallMs();
    const { sinceMs, count } = refusals;
    refusals =
      Math.abs(nowMs - sinceMs) >= MINUTE_MS ? { sinceMs: nowMs, count: 1 } : { sinceMs, count: count + 1 };
    return refusals.count > CONTROLLER_LIMITS.auditRefusalsPerMinuteMax;
  };

  const textOf = (event: AuditEvent): string => {
    const entry: AuditEntry = {
      version: 1,
      mesh,
      controller,
      number,
      timeMs: wallMs(),
      outcome: 'done',
      ...event,
    };
    const text = signAuditEntry(signingKey, entry);
    const bytesMax = Math.min(payloadBytesMax() - OVERHEAD_BYTES, CONTROLLER_LIMITS.auditEntryBytesMax);
    if (text.length <= bytesMax) return text;
    const { before, after, ...rest } = entry;
    return signAuditEntry(signingKey, { ...rest, shortened: true });
  };

  const pump = async (): Promise<void> => {
    let failed = false;
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      try {
        await stream.write(next.subject, next.text, next.id);
        if (failed) failing(undefined);
        failed = false;
        queue.shift();
        bytes -= next.text.length;
        counted('written');
      } catch (error) {
        counted('failed');
        if (!failed) failing(error);
        failed = true;
        if (stopping.signal.aborted) return;
        await wait(CONTROLLER_LIMITS.auditRetryMs, undefined, { signal: stopping.signal }).catch(() => {});
      }
    }
  };
  const start = (): void => {
    pumping ??= pump().finally(() => {
      pumping = undefined;
    });
  };

  return Object.freeze({
    record(event: AuditEvent) {
      if (event.outcome === 'refused' && tooManyRefusals()) return counted('lost');
      number += 1;
      const full =
        queue.length >= CONTROLLER_LIMITS.auditWaitingMax || bytes >= CONTROLLER_LIMITS.auditWaitingBytesMax;
      if (full) return counted('lost');
      const text = textOf(event);
      // An id that others could foretell would let them have the stream take our entry for a second one.
      queue.push({ id: randomBytes(16).toString('hex'), subject: auditSubject(mesh, event.verb), text });
      bytes += text.length;
      start();
    },

    get waiting() {
      return queue.length;
    },

    async stop() {
      stopping.abort();
      const ended = pumping ?? Promise.resolve();
      await Promise.race([ended, wait(CONTROLLER_LIMITS.auditStopMs, undefined, { ref: false })]);
    },
  });
}
