/** The lease of the leading controller: one key of the state bucket, written only at an expected revision. */
import type { KV } from '@nats-io/kv';
import { isConflict } from './buckets.ts';

const KEY = 'leader';

/** `sinceMs`: a moment before the lease was written, by the clock of this process. */
export interface LeaseTurn {
  readonly held: boolean;
  readonly sinceMs: number;
}

export interface LeaseOptions {
  readonly bucket: KV;
  /** Of this controller process. */
  readonly id: string;
  readonly leaseMs: number;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** Wall clock, ms: for people who read the key. */
  readonly wallMs: () => number;
}

export function createLease({ bucket, id, leaseMs, now, wallMs }: LeaseOptions) {
  /** The lease as it was seen last, and since when it has been so. */
  let seen: { readonly revision: number; readonly sinceMs: number } | undefined;
  /** Revision of our own last write; 0: we do not hold it. */
  let own = 0;
  let holder: string | undefined;

  const write = async (revision: number): Promise<LeaseTurn> => {
    const sinceMs = now();
    const text = JSON.stringify({ id, time: new Date(wallMs()).toISOString() });
    try {
      own = await bucket.put(KEY, text, { previousSeq: revision });
      holder = id;
      return { held: true, sinceMs };
    } catch (error) {
      if (!isConflict(error)) throw error;
      own = 0;
      return { held: false, sinceMs };
    }
  };

  return Object.freeze({
    /** Who held it when it was last looked at; undefined if nobody did. */
    get holder() {
      return holder;
    },
    async look(): Promise<boolean> {
      const entry = await bucket.get(KEY);
      const free = entry === null || entry.operation !== 'PUT';
      holder = free ? undefined : holderOf(entry.string());
      const revision = entry?.revision ?? 0;
      if (seen?.revision !== revision) seen = { revision, sinceMs: now() };
      // One that we wrote ourselves, and stopped to trust, nobody has taken since.
      return free || revision === own || now() - seen.sinceMs >= leaseMs;
    },
    claim: () => write(seen?.revision ?? 0),
    renew: (): Promise<LeaseTurn> =>
      own === 0 ? Promise.resolve({ held: false, sinceMs: now() }) : write(own),
    async release(): Promise<void> {
      const revision = own;
      own = 0;
      if (revision > 0) await bucket.delete(KEY, { previousSeq: revision });
    },
  });
}

function holderOf(text: string): string | undefined {
  try {
    const { id } = JSON.parse(text) as { id?: unknown };
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
}
