/**
 * What the store holds, judged: the buckets may have been written by anybody, and be older than they were.
 *
 * Invariants: V1 of a key the newest record that can be found holds, wherever it lies: last in the bucket, in the history of
 * its key, or in memory; V2 what was found is sound only if together it is what the newest head says.
 */
import type { KV } from '@nats-io/kv';
import { compareRevisions, NO_REVISION, type Revision } from '../protocol/revision.ts';
import { type BucketMark, markOf, readAll } from './buckets.ts';
import { digestOf, type Head, type Link, newestHead, printOf, readLink } from './chain.ts';
import type { JournalPage, SpentCall } from './journal.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
import type { Seal, SealedBucket } from './seal.ts';

export interface Survey<Resource> {
  readonly mark: BucketMark;
  /** Where the chain stands; undefined if there is none. */
  readonly head: Head | undefined;
  /** The last change set of a store of which nothing is left; else NO_REVISION. */
  readonly lost: Revision;
  /** By key; of deleted ones too. */
  readonly links: Map<string, Link<Resource>>;
  /** Whether they are all that there should be (V2). */
  readonly sound: boolean;
  /** Revision of the last entry of each key that anybody has written. */
  readonly entries: Map<string, number>;
  /** Keys whose last entry is not the record that holds, and has to be written again. */
  readonly stale: readonly string[];
  /** Those of them that are part of a change set which is being carried out. */
  readonly pending: ReadonlySet<string>;
  /** Keys with something that is no record of the chain. */
  readonly strange: readonly string[];
  /** Those that were carried out lately; undefined if the journal of the last change set is not there to say so. */
  readonly calls: readonly SpentCall[] | undefined;
}

export interface SurveyOptions<Resource> {
  readonly policy: KV;
  /** Which bucket that is. */
  readonly name: StoreName;
  readonly seal: Seal;
  readonly journal: { read(): Promise<JournalPage<Resource> | undefined> };
  /** What is in memory; undefined if nothing is, or it is not to be trusted. */
  readonly memory: { readonly head: Head; readonly links: ReadonlyMap<string, Link<Resource>> } | undefined;
}

/** Buckets that hold a chain. Of another one's records none is read (seal.ts). */
export type StoreName = Exclude<SealedBucket, 'state'>;

/** The last entry of a key. */
interface Last<Resource> {
  readonly revision: number;
  readonly written: boolean;
  readonly link: Link<Resource> | undefined;
}

/** Readings of a bucket that is being written meanwhile. */
const READINGS_MAX = 3;
const KEYS_AT_ONCE = 100;

/** @throws an error of the client */
export async function surveyStore<Resource>(options: SurveyOptions<Resource>): Promise<Survey<Resource>> {
  const { memory } = options;
  const { mark, lasts, page } = await read(options);

  const offered: [key: string, link: Link<Resource>][] = [...(memory?.links ?? [])];
  for (const [key, { link }] of lasts) if (link !== undefined) offered.push([key, link]);
  offered.push(...(await historiesOf<Resource>(options, suspects(lasts))));
  const { head, lost, links, sound, pending } = judge(offered, page, memory?.head);
  const stale: string[] = [];
  for (const [key, { record }] of links)
    if (!holds(lasts.get(key), record.at, record.resource !== null)) stale.push(key);
  const strange: string[] = [];
  for (const [key, { written }] of lasts) if (written && !links.has(key)) strange.push(key);
  const entries = new Map([...lasts].map(([key, { revision }]) => [key, revision]));
  const isLast = page !== undefined && head !== undefined && compareRevisions(page.head.at, head.at) === 0;
  const calls = isLast ? page.calls : undefined;
  return { mark, head, lost, links, sound, entries, stale, pending, strange, calls };
}

/** V1, V2 for all records that were found. */
function judge<Resource>(
  offered: readonly (readonly [key: string, link: Link<Resource>])[],
  page: JournalPage<Resource> | undefined,
  known: Head | undefined,
) {
  const writes = page?.writes ?? [];
  const newest = newestHead([page?.head, known, ...offered.map(([, { record }]) => record)]);
  // A store without a single record was lost, whatever a journal says: it begins anew.
  const isLost = offered.length === 0 && writes.length === 0 && known === undefined && newest?.at[1] !== 0;
  const head = isLost ? undefined : newest;
  const links = new Map<string, Link<Resource>>();
  const pending = new Set<string>();
  const offer = (key: string, link: Link<Resource>) => {
    if (link.record.at[0] !== head?.at[0]) return;
    const { record } = links.get(key) ?? {};
    if (record === undefined || compareRevisions(link.record.at, record.at) > 0) links.set(key, link);
  };
  for (const [key, link] of offered) offer(key, link);
  // Of an older journal nothing is left to do.
  if (page !== undefined && head !== undefined && compareRevisions(page.head.at, head.at) === 0) {
    for (const [key, record] of writes) {
      offer(key, { record, print: printOf(key, record.at, record.resource) });
      pending.add(key);
    }
  }
  const lost = (isLost && newest?.at) || NO_REVISION;
  return { head, lost, links, pending, sound: head === undefined || digestOf(links) === head.state };
}

/** All records of these keys that controllers have written, oldest first. */
export async function historiesOf<Resource>(
  { policy, name, seal }: Pick<SurveyOptions<Resource>, 'policy' | 'name' | 'seal'>,
  keys: readonly string[],
): Promise<[key: string, link: Link<Resource>][]> {
  const links: [string, Link<Resource>][] = [];
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
    for await (const entry of await policy.history({ key: keys.slice(at, at + KEYS_AT_ONCE) })) {
      const link = readLink<Resource>(entry.key, seal.open('weft-record', name, entry));
      if (link !== undefined) links.push([entry.key, link]);
    }
  }
  return links;
}

/** The journal after the records: it then says what of them is on its way. */
async function read<Resource>({ policy, name, seal, journal }: SurveyOptions<Resource>) {
  for (let reading = 1; ; reading++) {
    const mark = await markOf(policy);
    const lasts = new Map<string, Last<Resource>>();
    await readAll(policy, (entry) => {
      const link = readLink<Resource>(entry.key, seal.open('weft-record', name, entry));
      const room = link !== undefined || lasts.size < CONTROLLER_LIMITS.keysMax;
      if (room) lasts.set(entry.key, { revision: entry.revision, written: entry.operation === 'PUT', link });
    });
    const page = await journal.read();
    if (reading >= READINGS_MAX || (await markOf(policy)).version === mark.version)
      return { mark, lasts, page };
  }
}

/** Keys whose last entry says nothing, or does not lie where it was put: somebody else has written it. */
function suspects<Resource>(lasts: ReadonlyMap<string, Last<Resource>>): string[] {
  return [...lasts].filter(([, { link, revision }]) => link?.place !== revision).map(([key]) => key);
}

/** A deleted resource is as well without the record that says so. */
function holds<Resource>(last: Last<Resource> | undefined, at: Revision, exists: boolean): boolean {
  if (last === undefined || !last.written) return !exists;
  return last.link !== undefined && compareRevisions(last.link.record.at, at) === 0;
}
