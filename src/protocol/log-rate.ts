/**
 * Whether one more line may be logged: no more in a second than a person can read, and what was left out is summed up.
 * @param leftOut is told how many lines the last second has lost, before the next one is logged
 */
export function createLogRate(
  perSecond: number,
  now: () => number,
  leftOut: (lines: number) => void,
): () => boolean {
  let second = 0;
  let inSecond = 0;
  let suppressed = 0;
  return () => {
    const current = Math.floor(now() / 1000);
    if (current !== second) {
      if (suppressed > 0) leftOut(suppressed);
      second = current;
      inSecond = 0;
      suppressed = 0;
    }
    inSecond += 1;
    if (inSecond <= perSecond) return true;
    suppressed += 1;
    return false;
  };
}
