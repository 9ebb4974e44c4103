/**
 * Evidence: the signature of its sender on a whole packet. The seal proves the sender only to those who hold the key,
 * and whoever holds it could have made the packet; with the signature a packet that was kept proves to anybody what its
 * sender has said: in which frames, of which mesh and service, to whom, when and as which of its packets.
 *
 *     0xff | "weft evidence 1" | 0 | mesh | 0 | service | 0 | subject | 0 | header without document | frames after EVIDENCE
 *
 * It stands inside the seal, so it says nothing to who listens. The first byte keeps apart what else the key signs: that
 * is text, of the agent's own documents and of its NATS servers' challenges, and no text in UTF-8 has that byte.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import { WeftError } from './errors.ts';
import { FRAME_HEADER_BYTES, SIGNATURE_BYTES } from './frames.ts';
import { isServiceName } from './names.ts';

/** What is signed of a packet. */
export interface SignedPacket {
  /** What it is about: the service that is asked, or that answers. */
  readonly service: string;
  /** That it is published on. */
  readonly subject: string;
  /** Without the document. */
  readonly header: Buffer;
  /** What follows the EVIDENCE frame. */
  readonly frames: Buffer;
}

const DOMAIN = Buffer.concat([Buffer.from([0xff]), Buffer.from('weft evidence 1\0')]);

/** 64 bytes (some 40 µs, and more for large packets). @param key the Ed25519 private key of the agent that sends */
export function signEvidence(key: KeyObject, mesh: string, packet: SignedPacket): Buffer {
  return sign(null, signedBytes(mesh, packet), key);
}

/** True if the agent whose public key it is has signed it (some 120 µs). */
export function isEvidence(key: KeyObject, mesh: string, packet: SignedPacket, signature: Buffer): boolean {
  return verify(null, signedBytes(mesh, packet), key, signature);
}

/**
 * The parts of a plaintext that begins with a well-formed EVIDENCE frame; views of it.
 * @throws WeftError `stream_protocol` if it names no service
 */
export function evidenceParts(plain: Buffer): {
  readonly signature: Buffer;
  readonly service: string;
  readonly frames: Buffer;
} {
  const serviceAt = FRAME_HEADER_BYTES + SIGNATURE_BYTES;
  const end = FRAME_HEADER_BYTES + plain.readUInt32BE(FRAME_HEADER_BYTES - 4);
  const service = plain.toString('latin1', serviceAt, end);
  if (!isServiceName(service)) throw new WeftError('stream_protocol', 'EVIDENCE names no service');
  return {
    signature: plain.subarray(FRAME_HEADER_BYTES, serviceAt),
    service,
    frames: plain.subarray(end),
  };
}

/** None of the names holds a 0, and the header says its own length: no other packet gives the same bytes. */
function signedBytes(mesh: string, { service, subject, header, frames }: SignedPacket): Buffer {
  const names = Buffer.from(`${mesh}\0${service}\0${subject}\0`, 'latin1');
  return Buffer.concat([DOMAIN, names, header, frames]);
}
