/** What controllers keep in the buckets for themselves, signed: whoever can write there could else decide what holds. */
import type { KeyObject } from 'node:crypto';
import type { KvEntry } from '@nats-io/kv';
import {
  openDocument,
  type PublicationType,
  type RootKeys,
  signDocument,
} from '../protocol/signed-document.ts';

export interface SealOptions {
  readonly mesh: string;
  readonly signingKey: KeyObject;
  readonly rootKeys: RootKeys;
}

/** What controllers keep for themselves, and what they publish. */
export type SealType = 'weft-record' | 'weft-journal' | PublicationType;

export type Seal = ReturnType<typeof createSeal>;

export function createSeal({ mesh, signingKey, rootKeys }: SealOptions) {
  const read = (type: SealType, entry: KvEntry | null) => {
    if (entry?.operation !== 'PUT') return undefined;
    try {
      const text = entry.string();
      const document = openDocument(rootKeys, type, text, text.length);
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
