/**
 * Streams to services of which it is not known yet how, or where, they are reached: such a request waits for the answer
 * that is on its way, and no longer than `snapshotWaitMs`.
 */
import { asWeftError, type ErrorCode } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Stream, StreamHandler } from './stream.ts';

export interface LateStreamsParts {
  /** Clock that does not jump. */
  readonly now: () => number;
}

export interface LateStreams {
  /**
   * @param known true if it is known, or not to be known now
   * @param open opens the stream itself; what it throws, the handler is told
   */
  open(handler: StreamHandler, known: () => boolean, open: () => Stream): Stream;
  /** What is known has changed. */
  look(): void;
}

export function createLateStreams({ now }: LateStreamsParts): LateStreams {
  const waiting = new Set<{ known: () => boolean; untilMs: number; stream: LateStream }>();
  return Object.freeze({
    open(handler: StreamHandler, known: () => boolean, open: () => Stream) {
      const stream = new LateStream(handler, open);
      waiting.add({ known, untilMs: now() + LIMITS.snapshotWaitMs, stream });
      return stream;
    },
    look() {
      for (const one of waiting) {
        if (!one.stream.over && now() < one.untilMs && !one.known()) continue;
        waiting.delete(one);
        one.stream.begin();
      }
    },
  });
}

class LateStream implements Stream {
  /** Nobody waits for it any more. */
  over = false;
  readonly #handler: StreamHandler;
  readonly #open: () => Stream;
  readonly #chunks: Buffer[] = [];
  #end: string | undefined;
  #stream: Stream | undefined;

  constructor(handler: StreamHandler, open: () => Stream) {
    this.#handler = handler;
    this.#open = open;
  }

  get peer(): string | undefined {
    return this.#stream?.peer;
  }

  begin(): void {
    if (this.over) return;
    try {
      this.#stream = this.#open();
    } catch (error) {
      this.over = true;
      this.#handler.streamReset(asWeftError(error));
      return;
    }
    let writable = this.#chunks.length > 0;
    for (const chunk of this.#chunks.splice(0)) writable = this.#stream.sendData(chunk);
    if (this.#end !== undefined) this.#stream.sendEnd(this.#end);
    else if (writable) this.#handler.streamWritable();
  }

  sendInformational(head: string): void {
    this.#stream?.sendInformational(head);
  }

  sendResponse(head: string, last: boolean): void {
    this.#stream?.sendResponse(head, last);
  }

  sendData(chunk: Buffer): boolean {
    if (this.#stream !== undefined) return this.#stream.sendData(chunk);
    this.#chunks.push(Buffer.from(chunk));
    return false;
  }

  sendEnd(trailers: string): void {
    if (this.#stream === undefined) this.#end = trailers;
    else this.#stream.sendEnd(trailers);
  }

  requireEvidence(service: string): void {
    this.#stream?.requireEvidence(service);
  }

  reset(code: ErrorCode, details: string): void {
    this.over = true;
    this.#stream?.reset(code, details);
  }

  consumed(bytes: number): void {
    this.#stream?.consumed(bytes);
  }

  release(): void {
    this.over = true;
    this.#stream?.release();
  }
}
