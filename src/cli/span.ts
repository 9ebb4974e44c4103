import { parseDuration } from '../protocol/duration.ts';

const DAY_MS = 24 * 3_600_000;

/** Milliseconds of days (`90d`) or of a duration (`1h30m`); undefined if it is neither. */
export function parseSpan(text: string): number | undefined {
  const days = /^([0-9]{1,4})d$/.exec(text);
  return days === null ? parseDuration(text) : Number(days[1]) * DAY_MS;
}
