/**
 * What is sealed for a service (P5). Every agent that serves it holds the key, and could seal such a packet in anybody's
 * name: who has sent it is shown by a signature alone. And it opens requests to that service, which is all that callers
 * seal so; everything else goes from one process to another.
 */
import { FLAG, type FrameVisitor, readFrames, TYPE } from '../../protocol/frames.ts';
import { serviceOfHead } from '../../protocol/head.ts';
import type { PacketHeader } from '../../protocol/packet.ts';
import { serviceSubject } from '../../protocol/subjects.ts';
import { PacketEvidence, type Signer } from './evidence.ts';
import { RefusedPacket } from './refusal.ts';

/**
 * The signature of a packet for a service, which has been checked (some 120 µs), and with it all that such a packet may hold.
 * @param plain what was sealed @throws RefusedPacket `audience`, `evidence`, `frames` @throws WeftError `stream_protocol` if the frames are malformed
 */
export function provenServicePacket(
  mesh: string,
  signer: Signer,
  header: PacketHeader,
  subject: string,
  plain: Buffer,
): PacketEvidence {
  const { audience, sender } = header;
  if (subject !== serviceSubject(mesh, audience)) {
    throw new RefusedPacket(
      'audience',
      `a packet of ${sender} for any endpoint of ${audience} on ${subject}`,
    );
  }
  readFrames(plain, new Opening(header));
  if (plain[0] !== TYPE.EVIDENCE) {
    throw new RefusedPacket(
      'evidence',
      `a packet for ${audience} in the name of ${sender} without signature`,
    );
  }
  const evidence = new PacketEvidence(mesh, signer, header, subject, plain);
  const fault = evidence.faultFor(audience);
  if (fault !== undefined) {
    throw new RefusedPacket('evidence', `a packet for ${audience} in the name of ${sender}: ${fault}`);
  }
  return evidence;
}

/** Refuses every frame that does not open a request to the service, or belong to one that the same packet opens. */
class Opening implements FrameVisitor {
  readonly #header: PacketHeader;
  readonly #opened = new Set<number>();

  constructor(header: PacketHeader) {
    this.#header = header;
  }

  frame(type: number, flags: number, id: number, plain: Buffer, start: number, end: number): void {
    const { audience, sender } = this.#header;
    if (type === TYPE.EVIDENCE) return;
    if (type === TYPE.REQUEST) {
      const service = serviceOfHead(plain.toString('latin1', start, end));
      if (service !== audience) {
        throw new RefusedPacket('audience', `a request to another service than ${audience}, from ${sender}`);
      }
      this.#opened.add(id);
      return;
    }
    const isBody = type === TYPE.DATA || type === TYPE.END;
    if (!isBody || (flags & FLAG.OPENER) === 0 || !this.#opened.has(id)) {
      throw new RefusedPacket(
        'frames',
        `a packet for ${audience} from ${sender} with a frame of type ${type}`,
      );
    }
  }
}
