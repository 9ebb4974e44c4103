/**
 * Frames: the pieces of streams inside a packet.
 *
 *     u8 type | u8 flags | u32 stream id | u32 payload length | payload
 *
 * F1  Nothing is visited of a packet that is not well formed from its first to its last byte.
 * F2  A frame says which side opened its stream, so both sides may give out the same stream ids.
 */
import { type ErrorCode, isErrorCode, WeftError } from './errors.ts';

export const TYPE = Object.freeze({
  REQUEST: 1,
  RESPONSE: 2,
  INFORMATIONAL: 3,
  /** u48 offset in the body, then bytes. */
  DATA: 4,
  /** u48 length of the body, then trailer lines. */
  END: 5,
  /** `code\ndetails` */
  RESET: 6,
  /** u32 bytes that the other side may send in addition. */
  CREDIT: 7,
  ACCEPT: 8,
  /**
   * Of the packet and not of a stream (id 0), and its first frame: 64 bytes of signature over what follows, then the
   * service that all of it is about (`evidence.ts`).
   */
  EVIDENCE: 9,
});

export const FLAG = Object.freeze({
  /** This direction of the stream ends with this frame (REQUEST, RESPONSE, DATA). */
  LAST: 1,
  /** Sent by the side that opened the stream. */
  OPENER: 2,
  /** It only shows who sends, and asks for no signature in return (EVIDENCE). */
  ONE_WAY: 4,
});

export const FRAME_HEADER_BYTES = 10;
/** Offset in DATA and END; what follows it is the chunk, or the trailers. */
export const OFFSET_BYTES = 6;
/** The most that a frame takes beside its payload; the offset does not count as payload here. */
export const FRAME_OVERHEAD_BYTES = FRAME_HEADER_BYTES + OFFSET_BYTES;

/** Payload of a CREDIT. */
export const CREDIT_BYTES = 4;
/** Ed25519, in an EVIDENCE; the name of the service follows. */
export const SIGNATURE_BYTES = 64;
/** Details of a RESET are for a person to read; more would only be an attack. */
const RESET_DETAILS_MAX = 1024;
const NOT_PRINTABLE = /[^ -~]/g;

const CAPACITY_MIN = 4 * 1024;
/** After so many small packets the memory of a big one is given back. */
const SMALL_PACKETS_MAX = 64;

/** Payload of a RESET. */
export function resetBytes(code: ErrorCode, details: string): number {
  return code.length + 1 + Math.min(details.length, RESET_DETAILS_MAX);
}

/** Bytes of the EVIDENCE frame of a packet that is about `service`. */
export function evidenceFrameBytes(service: string): number {
  return FRAME_HEADER_BYTES + SIGNATURE_BYTES + service.length;
}

/** Collects frames that leave in one packet. The caller flushes before a packet would become too large. */
export class FrameWriter {
  /** Bytes written since the last `clear`. */
  length = 0;
  #buffer = Buffer.allocUnsafeSlow(CAPACITY_MIN);
  #smallPackets = 0;

  /** A frame whose payload is text (heads; latin1, so every character is one byte), or empty. */
  text(type: number, flags: number, streamId: number, text: string): void {
    const start = this.#head(type, flags, streamId, text.length);
    this.#buffer.write(text, start, 'latin1');
  }

  data(flags: number, streamId: number, offset: number, chunk: Uint8Array): void {
    const start = this.#head(TYPE.DATA, flags, streamId, OFFSET_BYTES + chunk.length);
    this.#buffer.writeUIntBE(offset, start, OFFSET_BYTES);
    this.#buffer.set(chunk, start + OFFSET_BYTES);
  }

  /** `offset` is the length of the whole body; `trailerText` field lines, or empty. */
  end(flags: number, streamId: number, offset: number, trailerText: string): void {
    const start = this.#head(TYPE.END, flags, streamId, OFFSET_BYTES + trailerText.length);
    this.#buffer.writeUIntBE(offset, start, OFFSET_BYTES);
    this.#buffer.write(trailerText, start + OFFSET_BYTES, 'latin1');
  }

  reset(flags: number, streamId: number, code: ErrorCode, details: string): void {
    this.text(TYPE.RESET, flags, streamId, `${code}\n${printable(details)}`);
  }

  credit(flags: number, streamId: number, bytes: number): void {
    const start = this.#head(TYPE.CREDIT, flags, streamId, CREDIT_BYTES);
    this.#buffer.writeUInt32BE(bytes, start);
  }

  accept(flags: number, streamId: number): void {
    this.#head(TYPE.ACCEPT, flags, streamId, 0);
  }

  /** Room for the signature, which is put in when the packet is complete. @param flags ONE_WAY or 0 */
  evidence(service: string, flags = 0): void {
    const start = this.#head(TYPE.EVIDENCE, flags, 0, SIGNATURE_BYTES + service.length);
    this.#buffer.fill(0, start, start + SIGNATURE_BYTES);
    this.#buffer.write(service, start + SIGNATURE_BYTES, 'latin1');
  }

  /** A view of what was written, good until the next write or `clear`. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  clear(): void {
    const capacity = this.#buffer.length;
    if (capacity > CAPACITY_MIN && this.length * 4 < capacity) {
      this.#smallPackets += 1;
      if (this.#smallPackets >= SMALL_PACKETS_MAX) this.#resize(Math.max(CAPACITY_MIN, capacity >>> 2), 0);
    } else {
      this.#smallPackets = 0;
    }
    this.length = 0;
  }

  /** Writes a frame's head, makes room for its payload and returns where that starts. */
  #head(type: number, flags: number, streamId: number, payloadLength: number): number {
    const at = this.length;
    const start = at + FRAME_HEADER_BYTES;
    const end = start + payloadLength;
    if (end > this.#buffer.length) this.#resize(Math.max(this.#buffer.length * 2, end), at);
    const buffer = this.#buffer;
    buffer[at] = type;
    buffer[at + 1] = flags;
    buffer.writeUInt32BE(streamId, at + 2);
    buffer.writeUInt32BE(payloadLength, at + 6);
    this.length = end;
    return start;
  }

  #resize(capacity: number, keep: number): void {
    const buffer = Buffer.allocUnsafeSlow(capacity);
    this.#buffer.copy(buffer, 0, 0, keep);
    this.#buffer = buffer;
    this.#smallPackets = 0;
  }
}

export interface FrameVisitor {
  /** `plain[start..end)` is the payload; it is the packet's memory, not a copy. */
  frame(type: number, flags: number, streamId: number, plain: Buffer, start: number, end: number): void;
}

/**
 * Visits the frames of an opened packet in order (F1).
 * @throws WeftError `stream_protocol` before the first visit, if the packet is not well formed
 */
export function readFrames(plain: Buffer, visitor: FrameVisitor): void {
  checkFrames(plain);
  let at = 0;
  while (at < plain.length) {
    const start = at + FRAME_HEADER_BYTES;
    const end = start + plain.readUInt32BE(at + 6);
    visitor.frame(plain[at]!, plain[at + 1]!, plain.readUInt32BE(at + 2), plain, start, end);
    at = end;
  }
}

/** Offset of a DATA or END frame. */
export function frameOffset(plain: Buffer, start: number): number {
  return plain.readUIntBE(start, OFFSET_BYTES);
}

/** Bytes of a CREDIT frame. */
export function frameCredit(plain: Buffer, start: number): number {
  return plain.readUInt32BE(start);
}

/** Error of a RESET frame; a code that this version does not know becomes `stream_protocol`, named in the details. */
export function frameReset(plain: Buffer, start: number, end: number): WeftError {
  const text = plain.toString('latin1', start, Math.min(end, start + RESET_DETAILS_MAX));
  const newline = text.indexOf('\n');
  const code = newline < 0 ? text : text.slice(0, newline);
  const details = newline < 0 ? '' : printable(text.slice(newline + 1));
  if (isErrorCode(code)) return new WeftError(code, details);
  return new WeftError('stream_protocol', `reset with unknown code ${printable(code)}: ${details}`);
}

function checkFrames(plain: Buffer): void {
  if (plain.length === 0) throw broken('packet without frames', 0);
  let at = 0;
  while (at < plain.length) {
    if (plain.length - at < FRAME_HEADER_BYTES) throw broken('frame head cut off', at);
    const payload = plain.readUInt32BE(at + 6);
    const next = at + FRAME_HEADER_BYTES + payload;
    if (next > plain.length) throw broken('frame longer than its packet', at);
    const evidence = plain[at] === TYPE.EVIDENCE;
    if ((plain.readUInt32BE(at + 2) === 0) !== evidence) throw broken('stream id 0', at);
    if (evidence && at > 0) throw broken('EVIDENCE that is not first', at);
    if (evidence && next === plain.length) throw broken('EVIDENCE of nothing', at);
    const flags = plain[at + 1]!;
    if (flags > (FLAG.LAST | FLAG.OPENER) && !(evidence && flags === FLAG.ONE_WAY)) {
      throw broken('unknown flag', at);
    }
    const fault = faultOf(plain[at]!, flags, payload);
    if (fault !== undefined) throw broken(fault, at);
    at = next;
  }
}

function faultOf(type: number, flags: number, payload: number): string | undefined {
  const opener = (flags & FLAG.OPENER) !== 0;
  const last = (flags & FLAG.LAST) !== 0;
  switch (type) {
    case TYPE.REQUEST:
      return opener ? undefined : 'REQUEST from the side that did not open the stream';
    case TYPE.RESPONSE:
      return opener ? 'RESPONSE from the side that opened the stream' : undefined;
    case TYPE.DATA:
      return payload < OFFSET_BYTES ? 'DATA without offset' : undefined;
    case TYPE.INFORMATIONAL:
      if (opener) return 'INFORMATIONAL from the side that opened the stream';
      break;
    case TYPE.END:
      if (payload < OFFSET_BYTES) return 'END without offset';
      break;
    case TYPE.RESET:
      break;
    case TYPE.CREDIT:
      if (payload !== CREDIT_BYTES) return 'CREDIT that is not 4 bytes long';
      break;
    case TYPE.ACCEPT:
      if (opener) return 'ACCEPT from the side that opened the stream';
      if (payload !== 0) return 'ACCEPT with payload';
      break;
    case TYPE.EVIDENCE:
      if (opener) return 'EVIDENCE with a side';
      if (payload <= SIGNATURE_BYTES) return 'EVIDENCE without signature or service';
      break;
    default:
      return `unknown type ${type}`;
  }
  return last ? 'LAST on a frame that cannot carry it' : undefined;
}

function broken(what: string, at: number): WeftError {
  return new WeftError('stream_protocol', `frame at byte ${at}: ${what}`);
}

function printable(text: string): string {
  return text.slice(0, RESET_DETAILS_MAX).replace(NOT_PRINTABLE, '?');
}
