/**
 * A copy of a request for another service, whose response nobody reads. It never slows the request down that it
 * is a copy of: when it falls too far behind, takes too long, or fails, it is dropped.
 */
import { encodeRequestHead, type WireRequestHead } from '../../protocol/head.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Stream, StreamHandler } from '../link/stream.ts';
import type { Roster } from '../roster.ts';
import { refuseEarly } from './early-refusal.ts';
import type { OutboundParts } from './proxy.ts';

export class MirrorCopy implements StreamHandler {
  /** In the roster of the copies under way. */
  place = 0;
  readonly #active: Roster<MirrorCopy>;
  readonly #untilMs: number;
  #stream: Stream | undefined;
  /** What the stream keeps because the far side has given no credit for it. */
  #waitingBytes = 0;

  constructor(active: Roster<MirrorCopy>, nowMs: number) {
    this.#active = active;
    this.#untilMs = nowMs + LIMITS.mirrorMs;
  }

  /** `head`: the request's own, for the service that gets the copy. One that cannot be asked, or would refuse, gets none. */
  start(parts: OutboundParts, head: WireRequestHead, last: boolean): void {
    try {
      refuseEarly(parts, head);
      const text = encodeRequestHead({ ...head, fields: withoutExpect(head.fields) });
      this.#stream = parts.open(head.service, undefined, text, last, this);
      this.#active.add(this);
    } catch {
      this.#stream = undefined;
    }
  }

  data(chunk: Buffer): void {
    if (this.#stream === undefined || this.#stream.sendData(chunk)) return;
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > LIMITS.mirrorWaitingBytesMax) this.cancel();
  }

  end(trailers: string): void {
    this.#stream?.sendEnd(trailers);
  }

  cancel(): void {
    this.#stream?.reset('cancelled', 'the copy of a request was dropped');
    this.#over();
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#untilMs) this.cancel();
  }

  streamInformational(): void {}

  streamResponse(_head: string, last: boolean): void {
    if (last) this.streamEnd();
  }

  streamData(chunk: Buffer): void {
    this.#stream?.consumed(chunk.length);
  }

  streamEnd(): void {
    this.#stream?.release();
    this.#over();
  }

  streamReset(): void {
    this.#over();
  }

  streamWritable(): void {
    this.#waitingBytes = 0;
  }

  #over(): void {
    if (this.#stream === undefined) return;
    this.#stream = undefined;
    this.#active.delete(this);
  }
}

/** Nobody waits for the permission to go on that it asks for. */
function withoutExpect(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] !== 'expect') kept.push(fields[at]!, fields[at + 1]!);
  }
  return kept;
}
