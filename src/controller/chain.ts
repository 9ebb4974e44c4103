/**
 * The chain of change sets. Each has a number, and each of its records carries that number and the digest of all resources
 * as they stand after it. So the newest record says which others have to be there, and an old one that was put back, or a new
 * one that was taken away, is known for what it is.
 */
import { createHash } from 'node:crypto';
import { compareRevisions, isRevision, type Revision } from '../protocol/revision.ts';

/** Where the chain stands after a change set. */
export interface Head {
  /** When the chain was begun (ms), and the number of the change set; 0: there was none. */
  readonly at: Revision;
  /** Digest of all resources after it: see `digestOf`. */
  readonly state: string;
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

/** A record with its place in the chain. */
export interface ChainRecord<Resource> extends StoreRecord<Resource>, Head {}

/** A record that is in memory, with the digest of what it says. */
export interface Link<Resource> {
  readonly record: ChainRecord<Resource>;
  readonly print: string;
  /** The place in the bucket that it was signed for; elsewhere somebody else has put it. Undefined: it was not read there. */
  readonly place?: number;
}

/** @param content what was signed for `key`; undefined if that is no record. */
export function readLink<Resource>(key: string, content: unknown): Link<Resource> | undefined {
  const { place, ...record } = (content ?? {}) as Partial<ChainRecord<Resource>> & {
    readonly place?: number;
  };
  const sound =
    Number.isSafeInteger(place) &&
    typeof record.resource === 'object' &&
    typeof record.author === 'string' &&
    typeof record.time === 'string' &&
    typeof record.state === 'string' &&
    isRevision(record.at);
  if (!sound) return undefined;
  return {
    record: record as ChainRecord<Resource>,
    print: printOf(key, record.at!, record.resource),
    place: place!,
  };
}

/** Digest of one record. */
export function printOf(key: string, at: Revision, resource: unknown): string {
  return sha256(JSON.stringify([key, at, resource]));
}

/** Digest of all resources that are there; of deleted ones it is the same whether or not their mark is left. */
export function digestOf(links: ReadonlyMap<string, Link<unknown>>): string {
  const prints: string[] = [];
  for (const { record, print } of links.values()) if (record.resource !== null) prints.push(print);
  return sha256(prints.sort().join());
}

export function isHead(value: unknown): value is Head {
  const { at, state } = (value ?? {}) as Partial<Head>;
  return isRevision(at) && typeof state === 'string';
}

/** The newest of them. */
export function newestHead(heads: Iterable<Head | undefined>): Head | undefined {
  let newest: Head | undefined;
  for (const head of heads) {
    if (head !== undefined && (newest === undefined || compareRevisions(head.at, newest.at) > 0))
      newest = head;
  }
  return newest;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
