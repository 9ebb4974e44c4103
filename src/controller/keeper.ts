/** Keeps what is known of the fleet in the state bucket, so that a new leader, or a restarted one, does not forget it. */
import type { KV } from '@nats-io/kv';
import { isLabel, isServiceName } from '../protocol/names.ts';
import type { KeptFleet } from './fleet.ts';

const KEY = 'fleet';
const OVERHEAD_BYTES = 1_024;
const STATES: ReadonlySet<unknown> = new Set(['connected', 'lost', 'left']);

export type Keeper = ReturnType<typeof createKeeper>;

export function createKeeper(bucket: KV, payloadBytesMax: () => number) {
  let revision = 0;
  return Object.freeze({
    /** What was kept; nothing if there is none, or it cannot be read. */
    async load(): Promise<KeptFleet> {
      const entry = await bucket.get(KEY);
      revision = entry?.revision ?? 0;
      if (entry?.operation !== 'PUT') return NOTHING;
      try {
        return readKept(entry.json<Partial<KeptFleet> | null>());
      } catch {
        return NOTHING;
      }
    },
    /** @throws an error of the client; a conflict if another controller has written */
    async save(fleet: KeptFleet): Promise<void> {
      const text = fitting(fleet, payloadBytesMax() - OVERHEAD_BYTES);
      revision = await bucket.put(KEY, text, { previousSeq: revision });
    },
  });
}

const NOTHING: KeptFleet = Object.freeze({ agents: [], services: [] });

/** Services matter most: without them routes lose their backends. Agents that are left out are heard again soon. */
function fitting(fleet: KeptFleet, bytesMax: number): string {
  const whole = JSON.stringify(fleet);
  if (Buffer.byteLength(whole) <= bytesMax) return whole;
  const services = fleet.services.toSorted((a, b) => b[1] - a[1]);
  for (let count = services.length; ; count = Math.floor(count * 0.9)) {
    const text = JSON.stringify({ agents: [], services: services.slice(0, count) });
    if (Buffer.byteLength(text) <= bytesMax) return text;
  }
}

function readKept(kept: Partial<KeptFleet> | null): KeptFleet {
  const agents = (kept?.agents ?? []).filter(
    ({ agent, state, sinceMs, session, sequence, timeMs, release }) =>
      typeof agent === 'string' &&
      isLabel(agent) &&
      STATES.has(state) &&
      typeof session === 'string' &&
      typeof release === 'string' &&
      [sinceMs, sequence, timeMs].every(Number.isFinite),
  );
  const services = (kept?.services ?? []).filter(
    ([service, seenMs]) => typeof service === 'string' && isServiceName(service) && Number.isFinite(seenMs),
  );
  return { agents, services };
}
