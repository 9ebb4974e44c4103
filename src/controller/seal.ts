/**
 * What controllers keep in the buckets for themselves, signed: whoever can write there could else decide what holds. Each text
 * is signed for one key of one bucket, and means nothing elsewhere.
 */
import type { KeyObject } from 'node:crypto';
import type { KvEntry } from '@nats-io/kv';
import {
  openDocument,
  type PublicationType,
  type RootKeys,
  signDocument,
  unprovenClaims,
} from '../protocol/signed-document.ts';

export interface SealOptions {
  readonly mesh: string;
  readonly signingKey: KeyObject;
  readonly rootKeys: RootKeys;
}

/** What controllers keep for themselves, and what they publish. */
export type SealType = 'weft-record' | 'weft-journal' | 'weft-head' | PublicationType;

/** Those that controllers keep something in for themselves. */
export type SealedBucket = 'policy' | 'identity' | 'state';

export type Seal = ReturnType<typeof createSeal>;

export function createSeal({ mesh, signingKey, rootKeys }: SealOptions) {
  const readText = (type: SealType, text: string) => {
    try {
      const document = openDocument(rootKeys, type, text, text.length);
      return document.mesh === mesh ? document : undefined;
    } catch {
      return undefined;
    }
  };
  const read = (type: SealType, entry: KvEntry | null) =>
    entry?.operation === 'PUT' ? readText(type, entry.string()) : undefined;

  return Object.freeze({
    /** The text to put under `key` of that bucket. */
    close: (type: SealType, bucket: SealedBucket, key: string, content: unknown): string =>
      signDocument(signingKey, type, { mesh, key: `${bucket}/${key}`, content }),

    /** What was closed for that key of that bucket of this mesh; undefined for anything else. */
    open(type: SealType, bucket: SealedBucket, entry: KvEntry | null): unknown {
      const document = read(type, entry);
      return document?.key === `${bucket}/${entry?.key}` ? document?.content : undefined;
    },

    /** What a text says that may have been closed for that key; nobody has checked who says it. */
    claimed(bucket: SealedBucket, key: string, text: string): unknown {
      const claims = unprovenClaims(text);
      return claims.key === `${bucket}/${key}` ? claims.content : undefined;
    },

    /** The same once it is proven; undefined if it is not. */
    openText(type: SealType, bucket: SealedBucket, key: string, text: string): unknown {
      const document = readText(type, text);
      return document?.key === `${bucket}/${key}` ? document.content : undefined;
    },

    /** Whether the root has signed it for this mesh, under whatever key. */
    signed: (type: SealType, entry: KvEntry | null): boolean => read(type, entry) !== undefined,
  });
}
