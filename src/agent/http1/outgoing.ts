/**
 * Writes messages to a socket in as few system calls as there can be: text and small chunks of one turn leave
 * together; a large chunk is handed over as it is. Keeps the framing that the head has promised.
 */
import type { Socket } from 'node:net';
import { WeftError } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import { CHUNK_END, chunkStart, lastChunk } from './chunk.ts';
import { CHUNKED, UNTIL_CLOSE } from './head.ts';

/** Below this a copy into the text is cheaper than a second buffer in a gathered write. */
const SMALL_CHUNK_BYTES = 4096;

export class Outgoing {
  readonly #socket: Socket;
  #text = '';
  #queued = false;
  /** Bytes that the announced length still allows, CHUNKED or UNTIL_CLOSE. */
  #left = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** False while the socket holds more than it should: wait for its `drain`. */
  get writable(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  /** Queues a head (through its blank line) and sets how its body is framed: bytes, CHUNKED or UNTIL_CLOSE. */
  head(text: string, bodyLength: number): void {
    this.#text += text;
    this.#left = bodyLength;
    this.#flushSoon();
  }

  /** Writes body bytes; they belong to the socket from now on. Throws if they exceed the announced length. */
  data(chunk: Buffer): void {
    if (this.#left >= 0) {
      if (chunk.length > this.#left)
        throw new WeftError('stream_protocol', 'the body is longer than announced');
      this.#left -= chunk.length;
    }
    if (chunk.length === 0) return;
    const chunked = this.#left === CHUNKED;
    if (chunked) this.#text += chunkStart(chunk.length);
    if (chunk.length < SMALL_CHUNK_BYTES) {
      this.#text += chunk.toString('latin1');
      if (chunked) this.#text += CHUNK_END;
      this.#flushSoon();
      return;
    }
    this.#socket.cork();
    this.flush();
    this.#socket.write(chunk);
    if (chunked) this.#text = CHUNK_END;
    this.flush();
    this.#socket.uncork();
  }

  /** Ends the body. Throws if it is shorter than announced. Trailers need chunked framing and are dropped without. */
  end(trailers: Fields | undefined): void {
    if (this.#left > 0) throw new WeftError('stream_protocol', 'the body is shorter than announced');
    if (this.#left === CHUNKED) this.#text += lastChunk(trailers);
    this.#left = 0;
    this.flush();
  }

  /** From here on the socket carries bytes, not messages (after 101). */
  raw(): void {
    this.#left = UNTIL_CLOSE;
  }

  flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#socket.write(text, 'latin1');
  }

  #flushSoon(): void {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(this.#flushQueued);
  }

  readonly #flushQueued = (): void => {
    this.#queued = false;
    this.flush();
  };
}
