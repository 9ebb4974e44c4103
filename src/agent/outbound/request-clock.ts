/**
 * How long a request may take: how long nothing may happen now, and what its route allows for the whole of it. It has no
 * timer and does not look at the time; whoever drives it does.
 */
import { WeftError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';

export const NEVER = Number.POSITIVE_INFINITY;

export class RequestClock {
  /** Something has come or gone since the last tick. */
  moved = false;
  /** When the wait for the response head, or for any byte, ends. */
  waitUntilMs = NEVER;
  /** When the route's time for the whole of it ends. */
  deadlineMs = NEVER;
  #patienceMs = NEVER;
  #waitsForHead = false;
  #requestMs = 0;

  /** From now on any byte, of the request or of the response, is worth waiting for. */
  awaitBytes(nowMs: number): void {
    this.#wait(nowMs, LIMITS.streamIdleMs, false);
  }

  /** The request is complete: from now on it is the response head that is waited for, `patienceMs` long. */
  awaitHead(nowMs: number, patienceMs: number): void {
    this.#wait(nowMs, patienceMs, true);
  }

  #wait(nowMs: number, patienceMs: number, head: boolean): void {
    this.#patienceMs = patienceMs;
    this.#waitsForHead = head;
    this.waitUntilMs = nowMs + patienceMs;
  }

  /**
   * Starts the time that a route allows for the whole request, tries and waits included (GEP-1742); 0: none. Not from
   * its start: what it waited for its routes is not the backend's.
   */
  startDeadline(nowMs: number, requestMs = 0): void {
    if (requestMs === 0 || this.deadlineMs !== NEVER) return;
    this.#requestMs = requestMs;
    this.deadlineMs = nowMs + requestMs;
  }

  /** A conversation, other than a response, may take as long as it likes. */
  dropDeadline(): void {
    this.deadlineMs = NEVER;
  }

  /** What ends the request if its route's time for it is over. */
  outOfTime(nowMs: number): WeftError | undefined {
    if (nowMs < this.deadlineMs) return undefined;
    return new WeftError('deadline', `not complete within the ${this.#requestMs} ms that its route allows`);
  }

  /** What ends the request if nothing has happened for too long. */
  outOfPatience(nowMs: number): WeftError | undefined {
    if (this.moved) {
      this.moved = false;
      this.waitUntilMs = nowMs + this.#patienceMs;
    }
    if (nowMs < this.waitUntilMs) return undefined;
    const seconds = this.#patienceMs / 1000;
    return this.#waitsForHead
      ? new WeftError('deadline', `no response head within ${seconds} s`)
      : new WeftError('stream_idle', `nothing was sent for ${seconds} s`);
  }
}
