/** Keeps what is known of the fleet in the state bucket, so that a new leader, or a restarted one, does not forget it. */
import type { KV } from '@nats-io/kv';
import { isLabel, isServiceName } from '../protocol/names.ts';
import { putOver } from './buckets.ts';
import type { KeptFleet } from './fleet.ts';
import type { Seal } from './seal.ts';

const KEY = 'fleet';
const OVERHEAD_BYTES = 1_024;
const STATES: ReadonlySet<unknown> = new Set(['connected', 'lost', 'left']);

/** @param tampered somebody else has written under the key. */
export function createKeeper(
  bucket: KV,
  seal: Seal,
  payloadBytesMax: () => number,
  tampered: (key: string) => void,
) {
  let revision = 0;
  return Object.freeze({
    /** What was kept; nothing if there is none, or it cannot be read. */
    async load(): Promise<KeptFleet> {
      const entry = await bucket.get(KEY);
      revision = entry?.revision ?? 0;
      const content = seal.open('weft-journal', 'state', entry);
      if (entry !== null && content === undefined) tampered(KEY);
      return readKept(content as Partial<KeptFleet> | undefined);
    },
    /** @throws an error of the client */
    async save(fleet: KeptFleet): Promise<void> {
      // Signed documents are base64.
      const kept = fitting(fleet, Math.floor(((payloadBytesMax() - OVERHEAD_BYTES) * 3) / 4));
      const text = seal.close('weft-journal', 'state', KEY, kept);
      revision = await putOver(bucket, KEY, text, revision, (entry) => {
        // Another leader has written, or a stranger: who leads is said by the lease and the journal, not here.
        if (entry !== null && seal.open('weft-journal', 'state', entry) === undefined) tampered(KEY);
        return undefined;
      });
    },
  });
}

/** Services matter most: without them routes lose their backends. Agents that are left out are heard again soon. */
function fitting(fleet: KeptFleet, bytesMax: number): KeptFleet {
  if (Buffer.byteLength(JSON.stringify(fleet)) <= bytesMax) return fleet;
  const services = fleet.services.toSorted((a, b) => b[1] - a[1]);
  for (let count = services.length; ; count = Math.floor(count * 0.9)) {
    const fewer = { agents: [], services: services.slice(0, count) };
    if (Buffer.byteLength(JSON.stringify(fewer)) <= bytesMax) return fewer;
  }
}

function readKept(kept: Partial<KeptFleet> | undefined): KeptFleet {
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
