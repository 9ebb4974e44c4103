/** What controllers keep in the buckets for themselves, signed: whoever can write there could else decide what holds. */
import type { KeyObject } from 'node:crypto';
import type { KvEntry } from '@nats-io/kv';
import { openDocument, signDocument } from '../protocol/signed-document.ts';

export interface SealOptions {
  readonly mesh: string;
  readonly signingKey: KeyObject;
  readonly rootKey: KeyObject;
}

type SealType = 'weft-record' | 'weft-journal';

export type Seal = ReturnType<typeof createSeal>;

export function createSeal({ mesh, signingKey, rootKey }: SealOptions) {
  return Object.freeze({
    /** The text to put under `key`. */
    close: (type: SealType, key: string, content: unknown): string =>
      signDocument(signingKey, type, { mesh, key, content }),

    /** What was closed for that key of this mesh; undefined for anything else. */
    open(type: SealType, entry: KvEntry | null): unknown {
      if (entry?.operation !== 'PUT') return undefined;
      try {
        const text = entry.string();
        const document = openDocument(rootKey, type, text, text.length);
        return document.mesh === mesh && document.key === entry.key ? document.content : undefined;
      } catch {
        return undefined;
      }
    },
  });
}
