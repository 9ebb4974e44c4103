/** The response on its way to the caller, from the stream that it comes by; a slow caller slows the stream down. */
import { WeftError } from '../../protocol/errors.ts';
import { decodeTrailers } from '../../protocol/head.ts';
import type { ServerConnection } from '../http1/server-connection.ts';
import type { Stream } from '../link/stream.ts';

export class Answer {
  /** The response head has been taken: whatever fails now breaks it off. */
  begun = false;
  /** What the caller is told; 0 as long as that is open. */
  status = 0;
  /** After an upgrade: the application at the far side sends no more. */
  halfClosed = false;
  readonly #connection: ServerConnection;
  #stream: Stream | undefined;
  /** What the caller's socket has not taken yet. */
  #undrained = 0;

  constructor(connection: ServerConnection) {
    this.#connection = connection;
  }

  /** A status is known; its body, if any, comes by `stream`. */
  begin(status: number, stream: Stream | undefined): void {
    this.begun = true;
    this.status = status;
    this.#stream = stream;
  }

  /** @throws WeftError `stream_protocol` if there is no response yet; or what the connection throws */
  data(chunk: Buffer): void {
    if (!this.begun) throw unexpected('body before a response head');
    if (this.#connection.write(chunk)) this.#stream?.consumed(chunk.length);
    else this.#undrained += chunk.length;
  }

  /** `trailers`: field text or ''. @throws like `data` */
  end(trailers: string): void {
    if (!this.begun) throw unexpected('an end before a response head');
    this.#connection.end(decodeTrailers(trailers));
  }

  /** The caller's socket takes more again. */
  drained(): void {
    if (this.#undrained === 0) return;
    this.#stream?.consumed(this.#undrained);
    this.#undrained = 0;
  }
}

/** What ends a request when the agent at the far side breaks the rules. */
export function unexpected(what: string): WeftError {
  return new WeftError('stream_protocol', `the serving agent sent ${what}`);
}
