/**
 * The authored resources, with their history. A change set is applied whole or not at all.
 *
 * Invariants: T1 every write names the entry that it replaces, and is put in place of another controller's only if that one's
 * is older; T2 a change set stands in the journal before its first write, and whoever leads next completes it; T3 taking the
 * store over takes a turn in the journal, so that a set of the leader before, which it has not journalled yet, can no longer
 * begin; T4 what the root has not signed, for this mesh, this bucket and this key, is not read; T5 what is in doubt is not changed and
 * nothing follows from it: resources that are missing, or older than what others are known to have seen (chain.ts).
 */
import type { KV } from '@nats-io/kv';
import { compareRevisions, isRevision, NO_REVISION, type Revision } from '../protocol/revision.ts';
import { isConflict, markOf, putOver } from './buckets.ts';
import {
  type ChainRecord,
  digestOf,
  type Head,
  type Link,
  printOf,
  readLink,
  type StoreRecord,
} from './chain.ts';
import { ControllerError } from './controller-error.ts';
import { createJournal, IDENTITY_JOURNAL_KEY, JOURNAL_KEY, type SpentCall } from './journal.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
import type { Seal } from './seal.ts';
import { historiesOf, type StoreName, type Survey, surveyStore } from './survey.ts';

export interface StoredResource<Resource> {
  readonly resource: Resource;
  /** Number of the change set that made it so. */
  readonly revision: number;
}

export interface StoreWrite<Resource> {
  readonly key: string;
  readonly record: StoreRecord<Resource>;
}

export interface StoreOptions {
  /** What holds the resources. */
  readonly policy: KV;
  readonly state: KV;
  /** Which bucket that is; `policy` if it is not said. */
  readonly name?: StoreName;
  readonly seal: Seal;
  /** What one message may hold, bytes. */
  readonly payloadBytesMax: () => number;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** Under this key stood what no controller had written last. */
  readonly tampered: (bucket: 'policy' | 'state', key: string) => void;
}

/** What a value of the bucket costs beside its JSON: subject and headers; and a record besides its own. */
const OVERHEAD_BYTES = 1_024;
const RECORD_BYTES = 128;
/** What a proof is signed for. */
const HEAD_KEY = 'head';
const CALLS_MAX = 500;
/** Of one call in the journal. */
const CALL_BYTES = 52;

export type Store<Resource> = ReturnType<typeof createStore<Resource>>;

export function createStore<Resource>({
  policy,
  state,
  name = 'policy',
  seal,
  payloadBytesMax,
  wallMs,
  tampered,
}: StoreOptions) {
  const journal = createJournal<Resource>({
    state,
    name: name === 'policy' ? JOURNAL_KEY : IDENTITY_JOURNAL_KEY,
    seal,
    wallMs,
    tampered: (key) => tampered('state', key),
  });
  /** What is known, kept over terms of leading: nobody who writes the buckets can change it. */
  let head: Head | undefined;
  let links = new Map<string, Link<Resource>>();
  let sound = true;
  /** The newest change set that others are known to have seen the effect of. */
  let witnessed: Revision = NO_REVISION;
  let proven: { readonly at: Revision; readonly text: string } = { at: NO_REVISION, text: '' };
  let calls: readonly SpentCall[] = [];
  /** Whether the store is ours to write. */
  let ours = false;
  /** Of the last entry of each key. */
  let entries = new Map<string, number>();
  /** Where the bucket stands if nobody but us has written since it was read: each write of ours counts as one. */
  let epoch = 0;
  let sequence = 0;
  let messages = 0;
  /** Its last sequence, as far as it is known. */
  let last = 0;
  /** Whether something is left to be taken away. */
  let littered = false;

  const witness = (at: Revision) => {
    if (compareRevisions(at, witnessed) > 0) witnessed = at;
  };
  const rolledBack = () => head !== undefined && compareRevisions(witnessed, head.at) > 0;

  const survey = async (): Promise<Survey<Resource>> => {
    const memory = head === undefined || !sound || rolledBack() ? undefined : { head, links };
    const found = await surveyStore<Resource>({ policy, name, seal, journal, memory });
    ({ links, sound, entries } = found);
    ({ epoch, sequence, messages } = found.mark);
    last = sequence;
    witness(found.lost);
    head = found.head;
    return found;
  };
  /** If nothing was ever kept here, or all of it was lost, a chain begins that is newer than any before. */
  const newHead = (): Head => ({ at: [Math.max(wallMs(), witnessed[0] + 1), 0], state: digestOf(links) });

  /** Makes a record the last entry of its key (T1). */
  const put = async (key: string, record: ChainRecord<Resource>): Promise<void> => {
    // If somebody else writes meanwhile it comes to lie elsewhere: then whoever reads it looks into its history too.
    const text = seal.close('weft-record', name, key, { ...record, place: last + 1 });
    const entry = await putOver(policy, key, text, entries.get(key) ?? 0, (found, conflict) => {
      const theirs = readLink<Resource>(key, seal.open('weft-record', name, found));
      const newer = theirs === undefined ? -1 : compareRevisions(theirs.record.at, record.at);
      if (newer > 0) throw conflict;
      // The leader before has written it after all.
      if (newer === 0) return 'keep';
      tampered('policy', key);
      return undefined;
    });
    entries.set(key, entry);
    wrote(entry);
  };
  const wrote = (entry: number) => {
    sequence += 1;
    // Unless its history was full: then it is looked at once more than needed.
    messages += 1;
    last = Math.max(last, entry);
  };
  const writeAll = async (keys: Iterable<string>): Promise<void> => {
    for (const key of keys) {
      const link = links.get(key);
      if (link !== undefined) await put(key, link.record);
    }
  };
  /** Writes what was found to be missing or replaced, and takes away what never was ours. */
  const repair = async ({ stale, strange, pending }: Survey<Resource>): Promise<void> => {
    const odd = stale.filter((key) => !pending.has(key));
    for (const key of [...odd, ...strange]) tampered('policy', key);
    if (!sound) return;
    await writeAll(odd);
    littered = strange.length > CONTROLLER_LIMITS.strangeKeysAtOnce;
    for (const key of strange.slice(0, CONTROLLER_LIMITS.strangeKeysAtOnce)) {
      try {
        await policy.delete(key, { previousSeq: entries.get(key) ?? 0 });
        wrote(last + 1);
      } catch (error) {
        // It was written again: the next look finds it.
        if (!isConflict(error)) throw error;
      }
    }
  };
  const writeJournal = async (writes: readonly (readonly [string, ChainRecord<Resource>])[]) => {
    const written = head ?? newHead();
    await journal.write({ head: written, writes, calls });
    // Not before: another controller may have begun one.
    head = written;
  };

  return Object.freeze({
    /**
     * Makes the store this controller's to write: completes what the leader before has begun, and puts right what somebody
     * else has written.
     * @returns the calls that were carried out lately; undefined if that is not known.
     * @throws an error of the client, or a conflict if another one does so too: then this one does not lead
     */
    async takeOver(): Promise<readonly SpentCall[] | undefined> {
      const before = this.at;
      const found = await survey();
      // Those of a new store, of the journal, or if nobody has carried out anything since, of memory.
      const isOurs = compareRevisions(before, this.at) === 0;
      const known = head === undefined ? [] : (found.calls ?? (isOurs ? calls : undefined));
      calls = known ?? [];
      const pending = [...found.pending].map((key) => [key, links.get(key)!.record] as const);
      // First of all: from now on the leader before can begin nothing (T3).
      await writeJournal(pending);
      ours = true;
      if (pending.length > 0) {
        await writeAll(found.stale.filter((key) => found.pending.has(key)));
        await writeJournal([]);
      }
      await repair(found);
      return known;
    },

    /** Signs anew whatever is there. To be called while the store is ours. @throws an error of the client */
    async rewrite(): Promise<void> {
      if (this.doubt === undefined) await writeAll([...links.keys()]);
    },

    giveUp(): void {
      ours = false;
    },

    /** Others are known to have seen what follows from this change set. */
    witness,

    /** The same, if they prove it with a `proof` of this store: anybody may say anything. */
    attest(proof: string): void {
      const content = seal.claimed(name, HEAD_KEY, proof);
      // Nearly all tell what others have told: that costs no check of a signature.
      if (!isRevision(content) || compareRevisions(content, witnessed) <= 0) return;
      if (seal.openText('weft-head', name, HEAD_KEY, proof) !== undefined) witness(content);
    },

    /** That the store has come as far as `at`: for those who follow it, to be told of later. */
    get proof(): string {
      if (proven.text === '' || compareRevisions(proven.at, this.at) !== 0)
        proven = { at: this.at, text: seal.close('weft-head', name, HEAD_KEY, this.at) };
      return proven.text;
    },

    /** Why nothing may follow from what is stored (T5); undefined if all is well. */
    get doubt(): string | undefined {
      if (rolledBack()) {
        return `the store was set back: agents follow change set ${witnessed[1]}, and it knows of ${head?.at[1] ?? 0}`;
      }
      return sound ? undefined : 'resources are missing from the store, or older than they were';
    },

    /** The change set that was carried out last. */
    get at(): Revision {
      return head?.at ?? NO_REVISION;
    },

    /** While nothing was applied yet: the last change set of the store before this one, which was lost; if others know of any. */
    get lost(): Revision | undefined {
      return this.at[1] === 0 && witnessed[1] > 0 && !rolledBack() ? witnessed : undefined;
    },

    /**
     * Carries out a change set, for a call that is then spent.
     * @returns its number.
     * @throws ControllerError `invalid` if it is too large, `not_leading` if the store is not ours, `unavailable` if it is in
     *   doubt; then nothing happened. Any other error: the set may have been begun, and is completed by whoever leads next
     */
    async apply(
      writes: readonly StoreWrite<Resource>[],
      call: { readonly nonce: string; readonly untilMs: number; readonly nowMs: number },
    ): Promise<number> {
      if (!ours || head === undefined) {
        throw new ControllerError('not_leading', 'this controller does not lead');
      }
      if (this.doubt !== undefined) {
        throw new ControllerError(
          'unavailable',
          `${this.doubt}; nothing was changed. \`weft check\` says what to do`,
        );
      }
      const plain =
        Buffer.byteLength(JSON.stringify({ writes })) + RECORD_BYTES * writes.length + CALLS_MAX * CALL_BYTES;
      // Signed documents are base64.
      const bytes = Math.ceil((plain * 4) / 3);
      if (bytes + OVERHEAD_BYTES > payloadBytesMax()) {
        const most = payloadBytesMax() - OVERHEAD_BYTES;
        throw new ControllerError(
          'invalid',
          `the change set has ${bytes} bytes, and one may have ${most}: apply it in parts, or raise max_payload of NATS`,
        );
      }
      const at: Revision = [head.at[0], head.at[1] + 1];
      const next = new Map(links);
      for (const { key, record } of writes) {
        next.set(key, { record: { ...record, at, state: '' }, print: printOf(key, at, record.resource) });
      }
      const state = digestOf(next);
      const records = writes.map(({ key }) => {
        const link = next.get(key) as Link<Resource>;
        const record = { ...link.record, state };
        next.set(key, { ...link, record });
        return [key, record] as const;
      });
      const lately = calls.filter(([, untilMs]) => untilMs > call.nowMs).slice(1 - CALLS_MAX);
      calls = [...lately, [call.nonce, call.untilMs]];
      await journal.write({ head: { at, state }, writes: records, calls });
      // It is certain now (T2).
      head = { at, state };
      links = next;
      await writeAll(records.map(([key]) => key));
      await writeJournal([]);
      return at[1];
    },

    /**
     * All resources that are there, by key; what is in memory if the store is ours.
     * @throws an error of the client
     */
    async list(): Promise<Map<string, StoredResource<Resource>>> {
      if (!ours) await survey();
      const found = new Map<string, StoredResource<Resource>>();
      for (const [key, { record }] of links) {
        if (record.resource !== null) found.set(key, { resource: record.resource, revision: record.at[1] });
      }
      return found;
    },

    /**
     * Looks whether somebody else has written, and puts it right. To be called while the store is ours, and nothing is applied.
     * @returns false if what holds may be other than before.
     * @throws an error of the client; Error if another controller has taken the store over
     */
    async audit(): Promise<boolean> {
      const { turn } = journal;
      const stands = await journal.stands();
      const mark = await markOf(policy);
      const untouched = mark.epoch === epoch && mark.sequence === sequence && mark.messages === messages;
      if (stands && untouched && !littered) return true;
      const before = head?.at ?? NO_REVISION;
      const doubted = this.doubt;
      const found = await survey();
      const same = compareRevisions(this.at, before) === 0;
      if (journal.turn !== turn || (!same && doubted === undefined && this.at[0] === before[0])) {
        throw new Error('another controller has written into the store');
      }
      if (!stands || !same) await writeJournal([]);
      await repair(found);
      return same && doubted === this.doubt;
    },

    /** What controllers have written under a key, oldest first, each change set once. */
    async history(key: string): Promise<(StoreRecord<Resource> & { readonly revision: number })[]> {
      const revisions: (StoreRecord<Resource> & { readonly revision: number })[] = [];
      for (const [, { record }] of await historiesOf<Resource>({ policy, name, seal }, [key])) {
        const isNews = record.at[1] > (revisions.at(-1)?.revision ?? 0);
        if (record.at[0] === head?.at[0] && isNews) revisions.push({ ...record, revision: record.at[1] });
      }
      return revisions;
    },

    /** Of everything that is or was there, as far as its mark is left. After `list`. */
    keys: (): Iterable<string> => links.keys(),

    /** Changes with every write. */
    version: async (): Promise<string> => (await markOf(policy)).version,
  });
}
