/**
 * The clear header of a packet: who sealed it, for whom, when and as which of its packets. It is read before
 * anything is known to be true; only opening the packet (seal.ts) proves it.
 *
 *     0 u8 version | 1 u8 flags | 2 u48 sentAt ms | 8 u48 counter | 14 u32 epoch | 18 session, 8 bytes
 *     26 u8 length + sender | u8 length + audience | [u16 length + identity document] | ciphertext | tag
 */
import { WeftError } from './errors.ts';
import { isLabel, isServiceName } from './names.ts';

const VERSION = 1;
const FLAG = Object.freeze({
  /** The audience is a service, else an agent. */
  SERVICE: 1,
  /** The sender's introduction is in the header. */
  DOCUMENT: 2,
});

const SENT_AT = 2;
const COUNTER = 8;
const EPOCH = 14;
const SESSION = 18;
const SENDER = 26;
/** The shortest header: an agent's name and an agent's name of one character each. */
const HEADER_BYTES_MIN = SENDER + 2 + 2;

/** AES-256-GCM's. */
export const TAG_BYTES = 16;

/** Two compact JWS: `introduction.ts`. */
const DOCUMENT =
  /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+~[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** What all packets of one sender session to one audience have in common. */
export interface PacketContext {
  /** The agent that seals. */
  readonly sender: string;
  /** Of the sender's process: 16 hex digits. */
  readonly session: string;
  /** Whoever may open: an agent, or any agent that serves a service (`name.namespace`). */
  readonly audience: string;
  readonly toService: boolean;
  /** Of the service's key; 0 for an agent. */
  readonly epoch: number;
}

export interface PacketHeader extends PacketContext {
  /** Sender's wall clock. */
  readonly sentAtMs: number;
  /** From 1, strictly rising within a session and audience. */
  readonly counter: number;
  /** The sender's introduction, if it came along. */
  readonly document: string | undefined;
  /** Bytes of the header; the sealed part starts there. */
  readonly length: number;
}

/** The header of all packets of one context, built once; `stamp` makes it that of one packet. */
export class HeaderTemplate {
  readonly #buffer: Buffer;

  /** `document` goes along in every packet made from this template. */
  constructor({
    sender,
    session,
    audience,
    toService,
    epoch,
    document,
  }: PacketContext & { document?: string }) {
    const hasDocument = document !== undefined;
    const senderAt = SENDER + 1;
    const audienceAt = senderAt + sender.length + 1;
    const documentAt = audienceAt + audience.length + (hasDocument ? 2 : 0);
    const buffer = Buffer.alloc(documentAt + (document?.length ?? 0));
    buffer[0] = VERSION;
    buffer[1] = (toService ? FLAG.SERVICE : 0) | (hasDocument ? FLAG.DOCUMENT : 0);
    buffer.writeUInt32BE(epoch, EPOCH);
    buffer.write(session, SESSION, 'hex');
    buffer.writeUInt8(sender.length, senderAt - 1);
    buffer.write(sender, senderAt, 'latin1');
    buffer.writeUInt8(audience.length, audienceAt - 1);
    buffer.write(audience, audienceAt, 'latin1');
    if (hasDocument) {
      buffer.writeUInt16BE(document.length, documentAt - 2);
      buffer.write(document, documentAt, 'latin1');
    }
    this.#buffer = buffer;
  }

  /** Bytes of the header. */
  get length(): number {
    return this.#buffer.length;
  }

  /** The header of one packet; good until the next `stamp`. */
  stamp(sentAtMs: number, counter: number): Buffer {
    this.#buffer.writeUIntBE(sentAtMs, SENT_AT, 6);
    this.#buffer.writeUIntBE(counter, COUNTER, 6);
    return this.#buffer;
  }
}

/** A header that was read, as its bytes are without a document. */
export function bareHeader({
  sender,
  session,
  audience,
  toService,
  epoch,
  sentAtMs,
  counter,
}: PacketHeader): Buffer {
  return new HeaderTemplate({ sender, session, audience, toService, epoch }).stamp(sentAtMs, counter);
}

/**
 * Reads the header of a packet from the bus.
 * @throws WeftError `stream_protocol` if it is not well formed
 */
export function readHeader(packet: Uint8Array): PacketHeader {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
  if (bytes.length < HEADER_BYTES_MIN + TAG_BYTES) throw broken('too short', bytes.length);
  if (bytes[0] !== VERSION) throw broken('unknown version', bytes[0]!);
  const flags = bytes[1]!;
  if (flags > (FLAG.SERVICE | FLAG.DOCUMENT)) throw broken('unknown flags', flags);
  const toService = (flags & FLAG.SERVICE) !== 0;
  const hasDocument = (flags & FLAG.DOCUMENT) !== 0;

  // A name may seem to run past the end here; nothing is read of it before the whole length is checked.
  const senderEnd = SENDER + 1 + bytes[SENDER]!;
  const audienceEnd = senderEnd + 1 + (bytes[senderEnd] ?? 0);
  if (audienceEnd + 2 > bytes.length) throw broken('cut off', bytes.length);
  const length = hasDocument ? audienceEnd + 2 + bytes.readUInt16BE(audienceEnd) : audienceEnd;
  if (length + TAG_BYTES > bytes.length) throw broken('cut off', bytes.length);

  const sender = bytes.toString('latin1', SENDER + 1, senderEnd);
  const audience = bytes.toString('latin1', senderEnd + 1, audienceEnd);
  const epoch = bytes.readUInt32BE(EPOCH);
  const counter = bytes.readUIntBE(COUNTER, 6);
  const document = hasDocument ? bytes.toString('latin1', audienceEnd + 2, length) : undefined;
  if (!isLabel(sender)) throw broken('sender is not an agent name', sender.length);
  if (toService ? !isServiceName(audience) : !isLabel(audience)) {
    throw broken(`audience is not ${toService ? 'a service' : 'an agent'} name`, audience.length);
  }
  if (!toService && epoch !== 0) throw broken('an agent has no epoch', epoch);
  if (counter === 0) throw broken('counters start at 1', counter);
  if (document !== undefined && !DOCUMENT.test(document)) {
    throw broken('document is not an introduction', document.length);
  }
  return {
    sentAtMs: bytes.readUIntBE(SENT_AT, 6),
    counter,
    session: bytes.toString('hex', SESSION, SENDER),
    sender,
    audience,
    toService,
    epoch,
    document,
    length,
  };
}

function broken(what: string, value: number): WeftError {
  return new WeftError('stream_protocol', `packet header: ${what} (${value})`);
}
