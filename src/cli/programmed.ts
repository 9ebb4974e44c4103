import { setTimeout as wait } from 'node:timers/promises';
import type { ChangeResult } from '../protocol/api.ts';
import { parseDuration } from '../protocol/duration.ts';
import type { ApiClient } from './api-client.ts';
import { EXIT, UsageError } from './exit.ts';
import { note } from './output.ts';
import { printable } from './printable.ts';

const POLL_MS = 100;

export interface WaitOptions {
  readonly wait?: boolean;
  readonly timeout: string;
}

/** @throws UsageError */
export function timeoutOf({ timeout }: WaitOptions): number {
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === undefined) {
    throw new UsageError('--timeout: expected a duration like 500ms, 30s or 2m');
  }
  return timeoutMs;
}

/**
 * Waits until every agent that wants them has applied the snapshots of a change; says on stderr how far it is.
 * @returns the exit code: `refused` if some have not within the time
 */
export async function untilProgrammed(
  api: ApiClient,
  snapshots: ChangeResult['snapshots'],
  timeoutMs: number,
): Promise<number> {
  if (snapshots.length === 0) return EXIT.done;
  const said = new Map<string, string>();
  const say = (service: string, text: string) => {
    if (said.get(service) !== text) note(`${printable(service)}: ${text}`);
    said.set(service, text);
  };
  const startedMs = performance.now();
  for (;;) {
    const { items } = await api.call('programmed', { snapshots });
    for (const { service, applied, of } of items) if (of > 0) say(service, `${applied} of ${of} agents`);
    const overdue = performance.now() - startedMs >= timeoutMs;
    const pending = items.filter(({ applied, of }) => applied < of).map(({ service }) => printable(service));
    if (pending.length === 0) {
      for (const { service, of } of items) if (of === 0) say(service, 'no agent wants it');
      return EXIT.done;
    }
    if (overdue) {
      note(
        `weft: not applied everywhere within the time: ${pending.join(', ')}. The change holds all the same; ` +
          '`weft get agents` shows who is behind',
      );
      return EXIT.refused;
    }
    await wait(POLL_MS);
  }
}
