/**
 * Sealing: AES-256-GCM over the frames of a packet, with its header and its subject as associated data, so that
 * neither can be changed and a packet cannot be played to another subject.
 *
 * N1  A key is for one sender session and one audience, and a counter is used once under it: the nonce is the counter.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { WeftError } from './errors.ts';
import { type PacketContext, TAG_BYTES } from './packet.ts';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;

/** What a packet key depends on. The two key halves are the sender's and the audience's, X25519. */
export interface PacketKeyContext extends PacketContext {
  readonly mesh: string;
  /** Own half: the sender's private key, or the audience's. */
  readonly privateKey: KeyObject;
  /** The other half. */
  readonly publicKey: KeyObject;
}

/**
 * The key of all packets from a sender session to an audience; both sides derive the same. Some 100 µs: cache it.
 * @throws WeftError `denied` if the public key is one that no honest peer has (RFC 7748 §6.1, all-zero result)
 */
export function derivePacketKey(context: PacketKeyContext): KeyObject {
  const { mesh, sender, session, audience, toService, epoch, privateKey, publicKey } = context;
  const info = [mesh, sender, session, `${toService ? 'service' : 'agent'} ${audience}`, epoch].join('\0');
  let shared: Buffer;
  try {
    shared = diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new WeftError('denied', `no packet key can be agreed with the X25519 key of ${sender}`, { cause });
  }
  return createSecretKey(Buffer.from(hkdfSync('sha256', shared, 'weft packet 1', info, 32)));
}

/** header ‖ ciphertext ‖ tag, ready to publish on `subject`. `counter` is the header's (N1). */
export function sealPacket(
  key: KeyObject,
  header: Buffer,
  subject: string,
  counter: number,
  plain: Uint8Array,
): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonceOf(counter));
  cipher.setAAD(associatedData(header, subject));
  const sealed = cipher.update(plain);
  cipher.final();
  const packet = Buffer.allocUnsafe(header.length + sealed.length + TAG_BYTES);
  packet.set(header, 0);
  packet.set(sealed, header.length);
  packet.set(cipher.getAuthTag(), header.length + sealed.length);
  return packet;
}

/**
 * The frames of a packet whose header (`headerLength` bytes, `counter`) has been read.
 * @throws WeftError `denied` if the packet was not sealed under this key, with this header, for this subject
 */
export function openPacket(
  key: KeyObject,
  packet: Uint8Array,
  headerLength: number,
  subject: string,
  counter: number,
): Buffer {
  const tagAt = packet.length - TAG_BYTES;
  if (tagAt < headerLength) throw new WeftError('denied', 'packet without a whole tag');
  const decipher = createDecipheriv(CIPHER, key, nonceOf(counter));
  decipher.setAAD(associatedData(packet.subarray(0, headerLength), subject));
  decipher.setAuthTag(packet.subarray(tagAt));
  const plain = decipher.update(packet.subarray(headerLength, tagAt));
  try {
    decipher.final();
  } catch (cause) {
    throw new WeftError('denied', `packet ${counter} on ${subject} is not sealed by whom it names`, {
      cause,
    });
  }
  return plain;
}

function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUIntBE(counter, NONCE_BYTES - 6, 6);
  return nonce;
}

/** The header says its own length, so no other header and subject give the same bytes. */
function associatedData(header: Uint8Array, subject: string): Buffer {
  const data = Buffer.allocUnsafe(header.length + subject.length);
  data.set(header, 0);
  data.write(subject, header.length, 'latin1');
  return data;
}
