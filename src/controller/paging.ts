/** Long lists in pages: an answer on the bus is one message. */
import type { Page } from '../protocol/api.ts';

/** One item of a list, made when its page is. */
export interface Listed<Item> {
  /** Its place: items are in the order of their keys, and no two have the same. */
  readonly key: string;
  readonly make: () => Item;
}

/**
 * The items after a key, as many as fit; at least one. A list that changes between two pages may lack what has come, and none
 * that was there all the time.
 */
export function pageOf<Item>(
  listed: readonly Listed<Item>[],
  after: string | undefined,
  bytesMax: number,
): Page<Item> {
  const items: Item[] = [];
  const left = listed.filter(({ key }) => after === undefined || key > after).sort(byKey);
  let bytes = 0;
  for (const [at, { make }] of left.entries()) {
    const item = make();
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1;
    if (bytes > bytesMax && at > 0) return { items, next: left[at - 1]!.key };
    items.push(item);
  }
  return { items };
}

/** The key of what has several names: in the order of the first, then of the second … */
export function listKey(...names: readonly string[]): string {
  // A space comes before all that names are made of.
  return names.join(' ');
}

function byKey(a: Listed<unknown>, b: Listed<unknown>): number {
  if (a.key === b.key) return 0;
  return a.key < b.key ? -1 : 1;
}
