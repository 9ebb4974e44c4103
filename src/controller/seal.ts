/** What controllers keep in the buckets for themselves, signed: whoever can write there could else decide what holds. */
import type { KeyObject } from 'node:crypto';
import type { KvEntry } from '@nats-io/kv';
import { type DocumentType, openDocument, signDocument } from '../protocol/signed-document.ts';

export interface SealOptions {
  readonly mesh: string;
  readonly signingKey: KeyObject;
  readonly rootKey: KeyObject;
}

/** What controllers keep for themselves, and what they publish. */
export type SealType = Extract<
  DocumentType,
  'weft-record' | 'weft-journal' | 'weft-snapshot' | 'weft-endpoints'
>;

export type Seal = ReturnType<typeof createSeal>;

export function createSeal({ mesh, signingKey, rootKey }: SealOptions) {
  const read = (type: SealType, entry: KvEntry | null) => {
    if (entry?.operation !== 'PUT') return undefined;
    try {
      const text = entry.string();
      const document = openDocument(rootKey, type, text, text.length);
      return document.mesh === mesh ? document : undefined;
    } catch {
      return undefined;
    }
  };

  return Object.freeze({
    /** The text to put under `key`. */
    close: (type: SealType, key: string, content: unknown): string =>
      signDocument(signingKey, type, { mesh, key, content }),

    /** What was closed for that key of this mesh; undefined for anything else. */
    open(type: SealType, entry: KvEntry | null): unknown {
      const document = read(type, entry);
      return document?.key === entry?.key ? document?.content : undefined;
    },

    /** Whether the root has signed it for this mesh, under whatever key. */
    signed: (type: SealType, entry: KvEntry | null): boolean => read(type, entry) !== undefined,
  });
}
