import { evidenceParts, isEvidence } from '../../protocol/evidence.ts';
import { evidenceLine } from '../../protocol/evidence-record.ts';
import { bareHeader, type PacketHeader } from '../../protocol/packet.ts';
import type { Peer } from './peers.ts';

/** The evidence of one packet that was opened. It is checked when somebody asks for it, and then once. */
export class PacketEvidence {
  readonly service: string;
  /** It was handed on. */
  recorded = false;
  readonly #mesh: string;
  readonly #peer: Peer;
  readonly #subject: string;
  readonly #header: Buffer;
  readonly #signature: Buffer;
  readonly #frames: Buffer;
  #valid: boolean | undefined;

  /** `plain` begins with an EVIDENCE frame. @throws WeftError `stream_protocol` if that names no service */
  constructor(mesh: string, peer: Peer, header: PacketHeader, subject: string, plain: Buffer) {
    const { signature, service, frames } = evidenceParts(plain);
    this.service = service;
    this.#mesh = mesh;
    this.#peer = peer;
    this.#subject = subject;
    this.#header = bareHeader(header);
    this.#signature = signature;
    this.#frames = frames;
  }

  /** Why it proves nothing about `service`, in words; undefined if it does. */
  faultFor(service: string): string | undefined {
    if (service !== this.service) return `this one is signed as one of ${this.service}`;
    this.#valid ??= isEvidence(this.#peer.identity.signingKey, this.#mesh, this.#packet(), this.#signature);
    return this.#valid ? undefined : 'the signature of this one is not right';
  }

  /** As it is kept: a line of text. */
  line(): string {
    const { document: introduction } = this.#peer;
    return evidenceLine({ ...this.#packet(), mesh: this.#mesh, introduction, signature: this.#signature });
  }

  #packet() {
    return {
      service: this.service,
      subject: this.#subject,
      header: this.#header,
      frames: this.#frames,
    };
  }
}
