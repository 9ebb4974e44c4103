import type { Backend } from '../snapshot.ts';

/**
 * The backend that gets a request, by the shares of the weights. One that is invalid takes part: its share of
 * the requests fails, and is not given to others (HTTPROUTE.md A5). Undefined if none has any weight.
 * @param random from 0 to 1.
 */
export function pickBackend(backends: readonly Backend[], random: number): Backend | undefined {
  if (backends.length === 1) return backends[0]!.weight > 0 ? backends[0] : undefined;
  let total = 0;
  for (const { weight } of backends) total += weight;
  let left = random * total;
  let last: Backend | undefined;
  for (const backend of backends) {
    if (backend.weight <= 0) continue;
    if (left < backend.weight) return backend;
    left -= backend.weight;
    last = backend;
  }
  // Only a `random` of 1, or what is lost in adding up, leads here.
  return last;
}
