import { setTimeout as wait } from 'node:timers/promises';
import type { ApiVerbs, ChangeResult } from '../protocol/api.ts';
import type { ApiClient } from './api-client.ts';
import { EXIT, UsageError } from './exit.ts';
import { note } from './output.ts';
import { printable } from './printable.ts';
import { parseSpan } from './span.ts';

const POLL_MS = 100;

type Progress = ApiVerbs['programmed']['response']['items'][number];

export interface WaitOptions {
  readonly wait?: boolean;
  readonly timeout: string;
}

/** @throws UsageError */
export function timeoutOf({ timeout }: WaitOptions): number {
  const timeoutMs = parseSpan(timeout);
  if (timeoutMs === undefined) {
    throw new UsageError('--timeout: expected a duration like 500ms, 30s or 2m');
  }
  return timeoutMs;
}

/** A service, and why it is not applied everywhere. */
function pendingText({ service, waiting = [], lost = [] }: Progress): string {
  const why = [
    ...(waiting.length === 0 ? [] : [`waits for ${waiting.join(', ')}`]),
    ...(lost.length === 0 ? [] : [`${lost.join(', ')} went without a word and may still go by the old`]),
  ];
  return printable(why.length === 0 ? service : `${service} (${why.join('; ')})`);
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
    for (const { service, applied, of, lost = [] } of items) {
      const gone = lost.length === 0 ? '' : `; lost: ${lost.join(', ')}`;
      if (of > 0 || gone !== '') say(service, `${applied} of ${of} agents${gone}`);
    }
    const overdue = performance.now() - startedMs >= timeoutMs;
    const pending = items.filter(({ applied, of, lost = [] }) => applied < of || lost.length > 0);
    if (pending.length === 0) {
      for (const { service, of } of items) if (of === 0) say(service, 'no agent wants it');
      return EXIT.done;
    }
    if (overdue) {
      note(
        `weft: not applied everywhere within the time: ${pending.map(pendingText).join(', ')}. The change holds all the ` +
          'same; `weft get agents` shows who is behind',
      );
      return EXIT.refused;
    }
    await wait(POLL_MS);
  }
}
