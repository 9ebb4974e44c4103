const UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
];

/** How long ago a time (ms) was, in its largest unit: `5m`. What lies ahead by a clock that differs is `0s`. */
export function ageText(sinceMs: number, nowMs: number): string {
  if (!Number.isFinite(sinceMs)) return '';
  const ageMs = Math.max(0, nowMs - sinceMs);
  const [ms, unit] = UNITS.find(([least]) => ageMs >= least) ?? UNITS.at(-1)!;
  return `${Math.floor(ageMs / ms)}${unit}`;
}
