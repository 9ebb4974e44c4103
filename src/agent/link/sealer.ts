/** The sending end of one sealed channel: from this agent process to one audience. */
import type { KeyObject } from 'node:crypto';
import { evidenceParts } from '../../protocol/evidence.ts';
import { FRAME_HEADER_BYTES } from '../../protocol/frames.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { HeaderTemplate, type PacketContext, TAG_BYTES } from '../../protocol/packet.ts';
import { derivePacketKey, sealPacket } from '../../protocol/seal.ts';

export interface Audience {
  /** An agent's name, or a service as `name.namespace`. */
  readonly name: string;
  readonly toService: boolean;
  /** Key epoch of a service; 0 for an agent. */
  readonly epoch: number;
  readonly publicKey: KeyObject;
}

/**
 * Numbers the packets of this process, over all audiences: a packet key and a counter are never used
 * together twice, even if the sealer of an audience is made anew (AES-GCM must never repeat a nonce).
 */
export class PacketCounter {
  #value = 0;

  next(): number {
    this.#value += 1;
    return this.#value;
  }
}

export class Sealer {
  /**
   * True while somebody in the audience may not know this agent yet. A service has many endpoints, and any
   * of them may be new, so there it stays true; for one process it ends when that has shown that it knows.
   */
  documentNeeded = true;
  readonly audience: Audience;
  readonly #keyring: Keyring;
  readonly #context: PacketContext;
  readonly #key: KeyObject;
  readonly #plain: HeaderTemplate;
  readonly #wallMs: () => number;
  #document = '';
  #introduced: HeaderTemplate;
  #introduceUntilMs = 0;
  #introducedMs = 0;

  constructor(keyring: Keyring, session: string, audience: Audience, wallMs: () => number) {
    const { name, toService, epoch, publicKey } = audience;
    this.audience = audience;
    this.#keyring = keyring;
    this.#context = { sender: keyring.agent, session, audience: name, toService, epoch };
    const { mesh, privateKey } = keyring;
    this.#key = derivePacketKey({ ...this.#context, mesh, privateKey, publicKey });
    this.#plain = new HeaderTemplate(this.#context);
    this.#introduced = this.#plain;
    this.#wallMs = wallMs;
  }

  /** The most bytes that a packet has beside its plaintext: the header with the document, and the tag. */
  get overheadBytes(): number {
    return this.#plain.length + 2 + this.#keyring.document.length + TAG_BYTES;
  }

  /** One packet for `subject`, to be published as it is. `signed`: `plain` begins with room for its evidence. */
  seal(subject: string, counter: number, plain: Buffer, signed: boolean): Buffer {
    const nowMs = this.#wallMs();
    if (signed) this.#sign(subject, nowMs, counter, plain);
    const { document } = this.#keyring;
    if (document !== this.#document) {
      if (this.#document !== '') this.#introduceUntilMs = nowMs + LIMITS.introduceMs;
      this.#document = document;
      this.#introduced = new HeaderTemplate({ ...this.#context, document });
    }
    const introduce =
      this.documentNeeded ||
      nowMs < this.#introduceUntilMs ||
      nowMs >= this.#introducedMs + LIMITS.introduceMs;
    // Again now and then: the far side may have had to forget this agent.
    if (introduce) this.#introducedMs = nowMs;
    const header = (introduce ? this.#introduced : this.#plain).stamp(nowMs, counter);
    return sealPacket(this.#key, header, subject, counter, plain);
  }

  #sign(subject: string, nowMs: number, counter: number, plain: Buffer): void {
    const { service, frames } = evidenceParts(plain);
    const header = this.#plain.stamp(nowMs, counter);
    plain.set(this.#keyring.signEvidence({ service, subject, header, frames }), FRAME_HEADER_BYTES);
  }
}
