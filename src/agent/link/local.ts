/**
 * A stream whose two ends are on this agent: the same contract as over the bus (stream.ts), without the bus.
 * Calls are delivered in order after the caller has returned, so that neither end is ever called from within
 * its own call. A slow reader stops the writer by the same window.
 */
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Serve } from './link.ts';
import type { Stream, StreamHandler } from './stream.ts';

/** Opens a stream from this agent (`self`) to its own inbound side. */
export function openLocal(
  serve: Serve,
  self: PeerIdentity,
  head: string,
  last: boolean,
  handler: StreamHandler,
): Stream {
  const calls = new Calls();
  const near = new LocalStream(self.agent, calls);
  const far = new LocalStream(self.agent, calls);
  near.other = far;
  far.other = near;
  near.handler = handler;
  calls.post(() => {
    far.handler = serve(far, self, head, last);
  });
  return near;
}

/** Calls that wait until the present one has returned. */
class Calls {
  #waiting: (() => void)[] = [];

  post(call: () => void): void {
    if (this.#waiting.length === 0) queueMicrotask(() => this.#run());
    this.#waiting.push(call);
  }

  #run(): void {
    for (let at = 0; at < this.#waiting.length; at++) this.#waiting[at]?.();
    this.#waiting = [];
  }
}

class LocalStream implements Stream {
  readonly peer: string;
  other: LocalStream | undefined;
  handler: StreamHandler | undefined;
  readonly #calls: Calls;
  #unconsumed = 0;
  #blocked = false;
  #closed = false;

  constructor(peer: string, calls: Calls) {
    this.peer = peer;
    this.#calls = calls;
  }

  sendInformational(head: string): void {
    this.#tell((handler) => handler.streamInformational(head));
  }

  sendResponse(head: string, last: boolean): void {
    this.#tell((handler) => handler.streamResponse(head, last));
  }

  sendData(chunk: Buffer): boolean {
    const own = Buffer.from(chunk);
    this.#unconsumed += own.length;
    this.#tell((handler) => handler.streamData(own));
    this.#blocked = this.#unconsumed >= LIMITS.streamWindowBytes;
    return !this.#blocked;
  }

  sendEnd(trailers: string): void {
    this.#tell((handler) => handler.streamEnd(trailers));
  }

  reset(code: ErrorCode, details: string): void {
    if (this.#closed) return;
    const error = new WeftError(code, details);
    this.#tell((handler) => handler.streamReset(error));
    this.#closed = true;
  }

  consumed(bytes: number): void {
    const writer = this.other;
    if (writer === undefined) return;
    writer.#unconsumed -= bytes;
    if (!writer.#blocked || writer.#unconsumed > LIMITS.streamWindowBytes / 2) return;
    writer.#blocked = false;
    this.#tell((handler) => handler.streamWritable());
  }

  /** It leaves no agent: there is nobody to prove anything of. */
  requireEvidence(): void {}

  release(): void {
    this.reset('cancelled', 'the response is complete');
  }

  #tell(call: (handler: StreamHandler) => void): void {
    const { other } = this;
    if (this.#closed || other === undefined) return;
    this.#calls.post(() => {
      if (!other.#closed && other.handler !== undefined) call(other.handler);
    });
  }
}
