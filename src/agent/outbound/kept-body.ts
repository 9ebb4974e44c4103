/**
 * What has come of a request's body, kept for as long as the request may have to be sent again, or shown to whom it has
 * to be agreed with. What is larger than the limit is not kept, and its request is not sent again.
 */
import type { Fields } from '../../protocol/fields.ts';
import { LIMITS } from '../../protocol/limits.ts';

const NOTHING: readonly Buffer[] = [];

export class KeptBody {
  /** All of the request has come. */
  ended: boolean;
  trailers: Fields | undefined;
  /** What has come, as long as it was kept. */
  bytes = 0;
  /** All that has come is here. */
  whole = true;
  #chunks: Buffer[] | undefined;

  constructor(ended: boolean) {
    this.ended = ended;
  }

  get chunks(): readonly Buffer[] {
    return this.#chunks ?? NOTHING;
  }

  /** The request has come, and is all head. */
  get isNone(): boolean {
    return this.ended && this.bytes === 0 && this.trailers === undefined;
  }

  /** Keeps a copy of `chunk`, unless it is of no use any more. */
  keep(chunk: Buffer): void {
    if (!this.whole) return;
    this.bytes += chunk.length;
    if (this.bytes > LIMITS.retryBodyBytesMax) return this.forget();
    this.#chunks ??= [];
    this.#chunks.push(Buffer.from(chunk));
  }

  /** The request will not be sent again. */
  forget(): void {
    this.whole = false;
    this.#chunks = undefined;
  }
}
