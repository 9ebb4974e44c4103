import { evidenceParts, isEvidence } from '../../protocol/evidence.ts';
import { evidenceLine } from '../../protocol/evidence-record.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import { bareHeader, type PacketHeader } from '../../protocol/packet.ts';

/** Who has sealed a packet, and the introduction that says so. */
export interface Signer {
  readonly identity: PeerIdentity;
  readonly document: string;
}

/** The evidence of one packet that was opened. It is checked when somebody asks for it, and then once. */
export class PacketEvidence {
  readonly service: string;
  /** It was handed on. */
  recorded = false;
  readonly #mesh: string;
  readonly #signer: Signer;
  readonly #subject: string;
  readonly #header: Buffer;
  readonly #signature: Buffer;
  readonly #frames: Buffer;
  #valid: boolean | undefined;

  /** `plain` begins with an EVIDENCE frame. @throws WeftError `stream_protocol` if that names no service */
  constructor(mesh: string, signer: Signer, header: PacketHeader, subject: string, plain: Buffer) {
    const { signature, service, frames } = evidenceParts(plain);
    this.service = service;
    this.#mesh = mesh;
    this.#signer = signer;
    this.#subject = subject;
    this.#header = bareHeader(header);
    this.#signature = signature;
    this.#frames = frames;
  }

  /** Why it proves nothing about `service`, in words; undefined if it does. */
  faultFor(service: string): string | undefined {
    if (service !== this.service) return `this one is signed as one of ${this.service}`;
    this.#valid ??= isEvidence(this.#signer.identity.signingKey, this.#mesh, this.#packet(), this.#signature);
    return this.#valid ? undefined : 'the signature of this one is not right';
  }

  /** As it is kept: a line of text. */
  line(): string {
    const { document: introduction } = this.#signer;
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
