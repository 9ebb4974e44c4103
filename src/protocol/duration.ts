const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const FORM = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;

/** Milliseconds of a Gateway API duration (GEP-2257: `500ms`, `2s`, `1h30m`), or undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  if (!FORM.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g))
    total += Number(amount) * UNITS_MS[unit!]!;
  return total;
}
