/**
 * The journal of the store: where the chain stands, the change set that is being carried out, and the calls that were carried
 * out lately. It is one key of the state bucket, and the fence between leaders: each write takes the next turn.
 */
import type { KV, KvEntry } from '@nats-io/kv';
import { putOver } from './buckets.ts';
import { type ChainRecord, type Head, isHead } from './chain.ts';
import type { Seal } from './seal.ts';

/** Where the journals of the policy store and of the identity store lie. */
export const JOURNAL_KEY = 'journal';
export const IDENTITY_JOURNAL_KEY = 'identities';

/** A call that has been carried out, and until when (wall clock) it could be sent again. */
export type SpentCall = readonly [nonce: string, untilMs: number];

export interface JournalPage<Resource> {
  /** Grows with each write, whoever leads. */
  readonly turn: number;
  /** After `writes`. */
  readonly head: Head;
  /** What is being carried out; empty if nothing is. */
  readonly writes: readonly (readonly [key: string, record: ChainRecord<Resource>])[];
  readonly calls: readonly SpentCall[];
}

export interface JournalOptions {
  readonly state: KV;
  /** Where it lies in the bucket. */
  readonly name: string;
  readonly seal: Seal;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** What was found is not what was written last, and no later turn of a leader's. */
  readonly tampered: (key: string) => void;
}

export function createJournal<Resource>({ state, name, seal, wallMs, tampered }: JournalOptions) {
  /** The last turn that is known of, by anybody. */
  let turn = 0;
  /** Of the entry that the next write replaces. */
  let revision = 0;

  const pageOf = (entry: KvEntry | null) => readPage<Resource>(seal.open('weft-journal', 'state', entry));

  return Object.freeze({
    get turn() {
      return turn;
    },

    /** The page as it stands; undefined if there is none, or only an old one that somebody has put back. */
    async read(): Promise<JournalPage<Resource> | undefined> {
      const entry = await state.get(name);
      const page = pageOf(entry);
      revision = entry?.revision ?? 0;
      if (page === undefined || page.turn < turn) {
        // Nobody ever deletes it; but its bucket may have been lost.
        if (entry !== null) tampered(name);
        return undefined;
      }
      turn = page.turn;
      return page;
    },

    /**
     * Writes the next turn.
     * @throws an error of the client; a conflict if another controller has taken a turn since
     */
    async write(page: Omit<JournalPage<Resource>, 'turn'>): Promise<void> {
      // Not the next number only: after an old page that somebody has put back, it would be one that was had before.
      const next = Math.max(turn + 1, wallMs());
      const text = seal.close('weft-journal', 'state', name, { turn: next, ...page });
      revision = await putOver(state, name, text, revision, (entry, conflict) => {
        if ((pageOf(entry)?.turn ?? 0) > turn) throw conflict;
        tampered(name);
        return undefined;
      });
      turn = next;
    },

    /** Whether it stands as it was written last. @throws Error if another controller has taken a turn since */
    async stands(): Promise<boolean> {
      const entry = await state.get(name);
      if (entry?.revision === revision) return true;
      if ((pageOf(entry)?.turn ?? 0) > turn) throw new Error('another controller has written the journal');
      return false;
    },
  });
}

function readPage<Resource>(content: unknown): JournalPage<Resource> | undefined {
  const { turn, head, writes, calls } = (content ?? {}) as Partial<JournalPage<Resource>>;
  const sound = Number.isSafeInteger(turn) && isHead(head) && Array.isArray(writes) && Array.isArray(calls);
  return sound ? ({ turn, head, writes, calls } as JournalPage<Resource>) : undefined;
}
