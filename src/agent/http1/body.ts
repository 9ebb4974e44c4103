/**
 * Decodes the body of one message from bytes as they arrive (RFC 9112 §6, §7.1), without copying them.
 *
 * B1  What is not exactly the grammar is refused: no space around a chunk size, no bare LF, no leniency.
 * B2  Never takes a byte that is not of this body: push() returns where the next message starts.
 * B3  Holds no more than LIMITS.headBytesMax bytes back (trailers that have not ended).
 */
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import { type Fields, parseFields } from '../../protocol/fields.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { permittedTrailers } from '../../protocol/trailers.ts';
import { CHUNKED, UNTIL_CLOSE } from './control-lines.ts';

export interface BodySink {
  /** A view of the bytes that were pushed, not a copy; never empty. */
  bodyData(chunk: Buffer): void;
  /** Once, after the last byte. Trailers that may not travel (RFC 9110 §6.5.1) are left out. */
  bodyEnd(trailers: Fields | undefined): void;
}

/** Where the decoder stands; the chunked states are in the order in which a chunk passes them. */
const DONE = 0;
const LENGTH = 1;
const TO_CLOSE = 2;
const SIZE_FIRST = 3;
const SIZE = 4;
const EXTENSION = 5;
const SIZE_LF = 6;
const DATA = 7;
const DATA_CR = 8;
const DATA_LF = 9;
const TRAILERS = 10;

const LF = 0x0a;
const CR = 0x0d;
const SEMICOLON = 0x3b;

/** `;name`, `;name=token` and `;name="quoted"`, any number of them: RFC 9112 §7.1.1, RFC 9110 §5.6.4. */
const EXTENSIONS =
  /^(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*$/;

/** Per byte: value of a hexadecimal digit, or 255. */
const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** One per connection, used again for each message. */
export class BodyDecoder {
  readonly #fault: ErrorCode;
  #state = DONE;
  #sink: BodySink | undefined;
  /** Bytes left of the body or of the chunk. */
  #left = 0;
  /** Bytes of the chunk-size or trailer line so far. */
  #lineBytes = 0;
  /** The extensions of a chunk, or the trailers, so far. */
  #text = '';

  /** `fault`: what a malformed body is; trailers beyond the limit are `head_too_large` instead of `bad_request`. */
  constructor(fault: ErrorCode) {
    this.#fault = fault;
  }

  /** True if no byte of a body is outstanding. */
  get done(): boolean {
    return this.#state === DONE;
  }

  /** `bodyLength`: bytes, CHUNKED or UNTIL_CLOSE. For 0 the body is done at once and the sink is not called. */
  start(bodyLength: number, sink: BodySink): void {
    this.#sink = sink;
    this.#left = 0;
    this.#lineBytes = 0;
    this.#text = '';
    if (bodyLength === CHUNKED) this.#state = SIZE_FIRST;
    else if (bodyLength === UNTIL_CLOSE) this.#state = TO_CLOSE;
    else {
      this.#state = bodyLength > 0 ? LENGTH : DONE;
      this.#left = bodyLength;
    }
    if (this.#state === DONE) this.#sink = undefined;
  }

  /**
   * Takes bytes[from..to) and calls the sink. Returns the index of the first byte that is not of this body,
   * `to` if all were used. Throws WeftError(fault) for bad chunking; the decoder is then of no more use
   * for this connection.
   */
  push(bytes: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to && this.#state !== DONE) {
      switch (this.#state) {
        case LENGTH:
          at = this.#data(bytes, at, to);
          if (this.#left === 0) this.#end(undefined);
          break;
        case TO_CLOSE:
          this.#sink!.bodyData(bytes.subarray(at, to));
          at = to;
          break;
        case DATA:
          at = this.#data(bytes, at, to);
          if (this.#left === 0) this.#state = DATA_CR;
          break;
        case TRAILERS:
          at = this.#trailerLine(bytes, at, to);
          break;
        default:
          this.#framing(bytes[at++]!);
      }
    }
    return at;
  }

  /** The connection has ended. Ends a body that lasts until then; false if the message is cut short. */
  closed(): boolean {
    if (this.#state === TO_CLOSE) this.#end(undefined);
    return this.#state === DONE;
  }

  #data(bytes: Buffer, at: number, to: number): number {
    const end = Math.min(to, at + this.#left);
    this.#left -= end - at;
    this.#sink!.bodyData(bytes.subarray(at, end));
    return end;
  }

  #end(trailers: Fields | undefined): void {
    const sink = this.#sink!;
    this.#state = DONE;
    this.#sink = undefined;
    sink.bodyEnd(trailers);
  }

  /** One byte of what stands between the data of two chunks. */
  #framing(byte: number): void {
    switch (this.#state) {
      case SIZE_FIRST:
      case SIZE: {
        const digit = HEX[byte]!;
        if (digit < 16) {
          // 16 × left + digit must stay an exact number.
          if (this.#left > (Number.MAX_SAFE_INTEGER - 15) / 16) throw this.#bad('a chunk size above 2^53');
          this.#left = this.#left * 16 + digit;
          this.#state = SIZE;
        } else if (this.#state === SIZE && byte === SEMICOLON) {
          this.#text = ';';
          this.#state = EXTENSION;
        } else if (this.#state === SIZE && byte === CR) this.#state = SIZE_LF;
        else throw this.#bad('a chunk size that is not hexadecimal');
        this.#countLineByte();
        break;
      }
      case EXTENSION:
        // They mean nothing to us and end here (RFC 9112 §7.1.1), but must be what they say they are.
        if (byte !== CR) this.#text += String.fromCharCode(byte);
        else {
          if (!EXTENSIONS.test(this.#text)) throw this.#bad('a malformed chunk extension');
          this.#text = '';
          this.#state = SIZE_LF;
        }
        this.#countLineByte();
        break;
      case SIZE_LF:
        if (byte !== LF) throw this.#bad('a chunk-size line that does not end in CR LF');
        this.#lineBytes = 0;
        this.#state = this.#left > 0 ? DATA : TRAILERS;
        break;
      case DATA_CR:
        if (byte !== CR) throw this.#bad('a chunk that is longer than its size');
        this.#state = DATA_LF;
        break;
      case DATA_LF:
        if (byte !== LF) throw this.#bad('a chunk that does not end in CR LF');
        this.#state = SIZE_FIRST;
        break;
    }
  }

  #countLineByte(): void {
    if (++this.#lineBytes > LIMITS.chunkLineBytesMax) {
      throw this.#bad(`a chunk-size line over ${LIMITS.chunkLineBytesMax} bytes`);
    }
  }

  /** Takes bytes up to the next LF; the blank line ends the body. */
  #trailerLine(bytes: Buffer, at: number, to: number): number {
    const lf = bytes.indexOf(LF, at);
    const end = lf < 0 || lf >= to ? to : lf + 1;
    if (this.#text.length + end - at > LIMITS.headBytesMax) {
      const code = this.#fault === 'bad_request' ? 'head_too_large' : this.#fault;
      throw new WeftError(code, `the trailers are over ${LIMITS.headBytesMax} bytes`);
    }
    this.#text += bytes.toString('latin1', at, end);
    this.#lineBytes += end - at;
    if (end - 1 !== lf) return end;
    const beforeLf = lf > at ? bytes[lf - 1] : this.#text.charCodeAt(this.#text.length - 2);
    if (beforeLf !== CR) throw this.#bad('a trailer line ends in a bare LF');
    if (this.#lineBytes > 2) this.#lineBytes = 0;
    else if (this.#text.length === 2) this.#end(undefined);
    else this.#end(permittedTrailers(parseFields(this.#text, 0, this.#text.length - 2, this.#fault)));
    return end;
  }

  #bad(details: string): WeftError {
    return new WeftError(this.#fault, `chunked body: ${details}`);
  }
}
