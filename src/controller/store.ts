/**
 * The authored resources, with their history. A change set is applied whole or not at all.
 *
 * Invariants: T1 every write names the revision that it replaces, so of two writers one fails; T2 a change set stands in
 * the journal before its first write, and whoever leads next completes it; T3 taking the store over writes the
 * journal, so that a set of the leader before, which it has not journalled yet, can no longer begin; T4 what the root has
 * not signed, for this mesh and this key, is not read: whoever can write the buckets could else have anything published.
 */
import type { KeyObject } from 'node:crypto';
import type { KV, KvEntry } from '@nats-io/kv';
import { openDocument, signDocument } from '../protocol/signed-document.ts';
import { markOf, readAll } from './buckets.ts';
import { ControllerError } from './controller-error.ts';

const JOURNAL = 'journal';

export interface StoredResource<Resource> {
  readonly resource: Resource;
  readonly revision: number;
}

/** One revision of a resource, as it lies in the bucket. */
export interface StoreRecord<Resource> {
  /** null: it was deleted. */
  readonly resource: Resource | null;
  readonly author: string;
  /** RFC 3339. */
  readonly time: string;
  readonly change: 'created' | 'configured' | 'deleted';
}

export interface StoreWrite<Resource> {
  readonly key: string;
  /** That it replaces; 0: there is none. */
  readonly expected: number;
  readonly record: StoreRecord<Resource>;
}

/** A call that has been carried out, and until when (wall clock) it could be sent again. */
export type SpentCall = readonly [nonce: string, untilMs: number];

interface Journal<Resource> {
  readonly writes: readonly StoreWrite<Resource>[];
  /** The last ones, so that the next leader does not carry them out again. */
  readonly calls: readonly SpentCall[];
}

export interface StoreOptions {
  readonly policy: KV;
  readonly state: KV;
  /** What one message may hold, bytes. */
  readonly payloadBytesMax: () => number;
  readonly mesh: string;
  readonly signingKey: KeyObject;
  readonly rootKey: KeyObject;
}

/** What a value of the bucket costs beside its JSON: subject and headers. */
const OVERHEAD_BYTES = 1_024;
const CALLS_MAX = 500;
/** Of one call in the journal. */
const CALL_BYTES = 52;

export type Store<Resource> = ReturnType<typeof createStore<Resource>>;

export function createStore<Resource>(options: StoreOptions) {
  const { policy, state, payloadBytesMax, mesh, signingKey, rootKey } = options;
  const sealed = (type: 'weft-record' | 'weft-journal', key: string, content: unknown) =>
    signDocument(signingKey, type, { mesh, key, content });
  /** What was sealed for that key; undefined for anything else. */
  const opened = (type: 'weft-record' | 'weft-journal', entry: KvEntry): unknown => {
    try {
      const text = entry.string();
      const document = openDocument(rootKey, type, text, text.length);
      return document.mesh === mesh && document.key === entry.key ? document.content : undefined;
    } catch {
      return undefined;
    }
  };
  /** Of the journal, as we have written it; undefined: the store is not ours. */
  let journalRevision: number | undefined;
  let calls: readonly SpentCall[] = [];

  const writeJournal = async (writes: readonly StoreWrite<Resource>[]): Promise<void> => {
    const journal: Journal<Resource> = { writes, calls };
    journalRevision = await state.put(JOURNAL, sealed('weft-journal', JOURNAL, journal), {
      previousSeq: journalRevision ?? 0,
    });
  };

  const carryOut = async (writes: readonly StoreWrite<Resource>[]): Promise<Map<string, number>> => {
    const revisions = new Map<string, number>();
    for (const { key, expected, record } of writes) {
      revisions.set(
        key,
        await policy.put(key, sealed('weft-record', key, record), { previousSeq: expected }),
      );
    }
    return revisions;
  };

  /** Like `carryOut`, for a set of which some writes may have happened already. */
  const complete = async (writes: readonly StoreWrite<Resource>[]): Promise<void> => {
    for (const write of writes) {
      const { revision = 0 } = (await policy.get(write.key)) ?? {};
      // Nobody writes a key of the journal before it is complete: a newer revision is this write (T2).
      if (revision === write.expected) await carryOut([write]);
    }
  };

  /** What controllers have written under a key, oldest first. */
  async function history(key: string): Promise<(StoreRecord<Resource> & { readonly revision: number })[]> {
    const revisions: (StoreRecord<Resource> & { readonly revision: number })[] = [];
    for await (const entry of await policy.history({ key })) {
      const record = readRecord<Resource>(opened('weft-record', entry));
      if (record !== undefined) revisions.push({ ...record, revision: entry.revision });
    }
    return revisions;
  }

  return Object.freeze({
    /**
     * Makes the store this controller's to write: completes what the leader before has begun.
     * @returns the calls that were carried out lately.
     * @throws an error of the client, or a conflict if another one does so too: then this one does not lead
     */
    async takeOver(): Promise<readonly SpentCall[]> {
      const entry = await state.get(JOURNAL);
      const found = readJournal<Resource>(entry === null ? undefined : opened('weft-journal', entry));
      journalRevision = entry?.revision ?? 0;
      calls = found.calls;
      // First of all: from now on the leader before can begin nothing (T3).
      await writeJournal(found.writes);
      if (found.writes.length > 0) {
        await complete(found.writes);
        await writeJournal([]);
      }
      return calls;
    },

    giveUp(): void {
      journalRevision = undefined;
    },

    /**
     * Carries out a change set, for a call that is then spent.
     * @returns the new revision of each key.
     * @throws ControllerError `invalid` if it is too large, `not_leading` if the store is not ours; then nothing happened.
     *   Any other error: the set may have been begun, and is completed by whoever leads next
     */
    async apply(
      writes: readonly StoreWrite<Resource>[],
      call: { readonly nonce: string; readonly untilMs: number; readonly nowMs: number },
    ): Promise<Map<string, number>> {
      if (journalRevision === undefined)
        throw new ControllerError('not_leading', 'this controller does not lead');
      const plain = Buffer.byteLength(JSON.stringify({ writes })) + CALLS_MAX * CALL_BYTES;
      // Signed documents are base64.
      const bytes = Math.ceil((plain * 4) / 3);
      if (bytes + OVERHEAD_BYTES > payloadBytesMax()) {
        const most = payloadBytesMax() - OVERHEAD_BYTES;
        throw new ControllerError(
          'invalid',
          `the change set has ${bytes} bytes, and one may have ${most}: apply it in parts, or raise max_payload of NATS`,
        );
      }
      const lately = calls.filter(([, untilMs]) => untilMs > call.nowMs).slice(1 - CALLS_MAX);
      calls = [...lately, [call.nonce, call.untilMs]];
      await writeJournal(writes);
      const revisions = await carryOut(writes);
      await writeJournal([]);
      return revisions;
    },

    /**
     * All resources that are there, by key. Keys whose last entry is not of a controller's (T4) are handed to
     * `unreadable`; the last one that is holds.
     */
    async list(unreadable: (key: string) => void): Promise<Map<string, StoredResource<Resource>>> {
      const found = new Map<string, StoredResource<Resource>>();
      for (const entry of await readAll(policy)) {
        let record = readRecord<Resource>(opened('weft-record', entry));
        if (record === undefined) {
          unreadable(entry.key);
          record = (await history(entry.key)).at(-1);
        }
        if (record !== undefined && record.resource !== null) {
          found.set(entry.key, { resource: record.resource, revision: entry.revision });
        }
      }
      return found;
    },

    /** The last revision of a key, also of one that was deleted; 0 if there never was one. */
    async revisionOf(key: string): Promise<number> {
      return (await policy.get(key))?.revision ?? 0;
    },

    history,

    /** Changes with every write. */
    version: async (): Promise<string> => (await markOf(policy)).version,
    /** True if nothing was ever written to it: it is new, or it was lost and made anew. */
    blank: async (): Promise<boolean> => (await markOf(policy)).sequence === 0,
  });
}

function readRecord<Resource>(content: unknown): StoreRecord<Resource> | undefined {
  const record = content as Partial<StoreRecord<Resource>> | null | undefined;
  const sound =
    typeof record?.resource === 'object' &&
    typeof record.author === 'string' &&
    typeof record.time === 'string';
  return sound ? (record as StoreRecord<Resource>) : undefined;
}

function readJournal<Resource>(content: unknown): Journal<Resource> {
  const { writes, calls } = (content ?? {}) as Partial<Journal<Resource>>;
  return { writes: Array.isArray(writes) ? writes : [], calls: Array.isArray(calls) ? calls : [] };
}
