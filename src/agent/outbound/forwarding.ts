/**
 * The request itself on its way to an endpoint, as its route has made it: sent, copied for whom the route mirrors it to, sent
 * once more where that is allowed, and its response taken.
 */
import type { WeftError } from '../../protocol/errors.ts';
import { type Fields, fieldsText } from '../../protocol/fields.ts';
import {
  type Announced,
  decodeResponseHead,
  type WireRequestHead,
  type WireResponseHead,
} from '../../protocol/head.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { ForwardPlan } from '../../protocol/routes/plan.ts';
import { responseFields } from '../../protocol/routes/response-fields.ts';
import type { Stream } from '../link/stream.ts';
import { unexpected } from './answer.ts';
import { Attempts, type Sender } from './attempts.ts';
import { refuseByPolicy } from './early-refusal.ts';
import type { KeptBody } from './kept-body.ts';
import { MirrorCopy } from './mirror.ts';
import type { OutboundProxy } from './proxy.ts';
import type { RequestClock } from './request-clock.ts';
import { exhausted, overBudget, worthRepeating } from './retry.ts';

/** The request that is forwarded. */
export interface ForwardedRequest {
  readonly method: string;
  readonly path: string;
  /** The service that is asked. */
  readonly service: string;
  /** Its lines as they came, with what the mesh has to say. */
  readonly received: Fields;
  readonly upgrades: boolean;
  readonly body: KeptBody;
  readonly clock: RequestClock;
  /** Its response has begun. */
  readonly answered: boolean;
  inform(status: number, reason: string, fields: Fields): void;
  /** This is the response to it. @throws WeftError `stream_protocol` if it cannot be */
  respond(head: WireResponseHead & Announced, fields: Fields, stream: Stream, last: boolean): void;
  responseData(chunk: Buffer): void;
  responseEnd(trailers: string): void;
  /** Reads on, after the far side has not taken more for a while. */
  resumeBody(): void;
  mayRepeat(attempts: Attempts, retriesMax: number): boolean;
  repeat(attempts: Attempts, leastMs: number): boolean;
  /** Decides by the routes once more, for who belongs to no session. */
  leaveSession(): void;
  /** It is waited for the response anew. */
  awaitNext(): void;
  fail(error: unknown): void;
}

const NO_COPIES: readonly MirrorCopy[] = [];

export class Forwarding implements Sender {
  /** What its route makes of it; undefined if the service has none. */
  plan: ForwardPlan | undefined;
  attempts: Attempts;
  readonly #proxy: OutboundProxy;
  readonly #request: ForwardedRequest;
  #mirrors: readonly MirrorCopy[] | undefined;

  constructor(proxy: OutboundProxy, request: ForwardedRequest) {
    this.#proxy = proxy;
    this.#request = request;
    this.attempts = new Attempts(proxy.parts, this);
  }

  /** Nothing has been tried yet: somebody had to agree first, and has. */
  beginAnew(): void {
    this.attempts = new Attempts(this.#proxy.parts, this);
  }

  /** To an endpoint of where the route leads now. @throws WeftError if policy refuses it, or the bus is down */
  begin(): void {
    const head = this.#head();
    refuseByPolicy(this.#proxy.parts, head);
    this.#send(head);
  }

  sendAgain(): void {
    const { plan } = this;
    // The pauses that a route prescribes are not time that the application has taken.
    if (plan?.rule.retry !== undefined) this.#request.awaitNext();
    try {
      if (plan?.session === undefined) this.#send(this.#head());
      // The endpoint of the session has failed: the weights decide where the next try goes, and a new one begins there.
      else this.#request.leaveSession();
    } catch (error) {
      this.#request.fail(error);
    }
  }

  /** As it is sent now. Starts the clock of this try. */
  #head(): WireRequestHead {
    const { plan } = this;
    const { method, path, service, received, body, clock } = this.#request;
    const untilMs = body.ended ? Math.min(clock.waitUntilMs, clock.deadlineMs) : clock.deadlineMs;
    return {
      method,
      target: plan?.target ?? path,
      service: plan?.backend ?? service,
      caller: this.#proxy.caller,
      deadlineMs: this.attempts.startClock(plan?.rule.timeouts.backendRequestMs ?? 0, untilMs),
      fields: plan?.fields ?? received,
    };
  }

  /** Sends what is known of the request. */
  #send(head: WireRequestHead): void {
    const { plan, attempts } = this;
    const { body } = this.#request;
    const { isNone } = body;
    const stream = attempts.open(head, isNone, plan?.session?.endpoint);
    if (plan !== undefined && this.#mirrors === undefined) this.#mirrors = this.#copies(plan, head, isNone);
    if (isNone) return;
    for (const chunk of body.chunks) {
      stream.sendData(chunk);
      if (attempts.count === 1) for (const copy of this.#mirrors ?? NO_COPIES) copy.data(chunk);
    }
    if (body.ended) this.end();
    else if (attempts.count > 1) this.#request.resumeBody();
  }

  /** Starts the copies that the route asks for. */
  #copies({ mirrors }: ForwardPlan, head: WireRequestHead, last: boolean): readonly MirrorCopy[] {
    const { parts, mirrors: active } = this.#proxy;
    // What comes after an upgrade is no request, and nobody would read the other half of the conversation.
    if (mirrors.length === 0 || this.#request.upgrades) return NO_COPIES;
    return mirrors.map((service) => {
      const copy = new MirrorCopy(active, parts.now());
      copy.start(parts, { ...head, service, deadlineMs: LIMITS.mirrorMs }, last);
      return copy;
    });
  }

  /** More of the body. False: send no more before `resumeBody`. */
  data(chunk: Buffer): boolean {
    for (const copy of this.#mirrors ?? NO_COPIES) copy.data(chunk);
    return this.attempts.stream?.sendData(chunk) === true;
  }

  /** The body has ended. */
  end(): void {
    const { trailers } = this.#request.body;
    const text = trailers === undefined ? '' : fieldsText(trailers);
    this.attempts.stream?.sendEnd(text);
    for (const copy of this.#mirrors ?? NO_COPIES) copy.end(text);
  }

  /** No more of the body will come: its copies would never end. */
  cancelCopies(): void {
    for (const copy of this.#mirrors ?? NO_COPIES) copy.cancel();
  }

  streamInformational(text: string): void {
    if (this.#request.answered) return;
    try {
      const { status, reason, fields } = decodeResponseHead(text);
      if (status < 100 || status > 199 || status === 101) throw unexpected(`informational status ${status}`);
      this.#request.inform(status, reason, fields);
    } catch (error) {
      this.#request.fail(error);
    }
  }

  streamResponse(text: string, last: boolean): void {
    const stream = this.attempts.stream as Stream;
    try {
      const head = decodeResponseHead(text);
      if (this.#hasRepeated(head.status))
        stream.reset('cancelled', `the route has status ${head.status} tried again`);
      else this.#request.respond(head, this.#responseFields(head.fields, stream), stream, last);
    } catch (error) {
      this.#request.fail(error);
    }
  }

  /** True if the route has a response with this status tried again, and it will be. */
  #hasRepeated(status: number): boolean {
    return this.plan?.rule.retry?.codes.includes(status) === true && this.#repeats(`status ${status}`);
  }

  /**
   * Has it sent once more, because of `why`; false if that cannot be. @throws WeftError `retry_budget_spent` if its route
   * wants it, and too much has been repeated lately (GEP-3388)
   */
  #repeats(why: string): boolean {
    const retry = this.plan?.rule.retry;
    const { attempts: max = LIMITS.retriesMax, backoffMs = 0 } = retry ?? {};
    if (!this.#request.mayRepeat(this.attempts, max)) return false;
    if (this.#request.repeat(this.attempts, backoffMs)) return true;
    if (retry !== undefined) throw overBudget(why);
    return false;
  }

  /** The response's lines as its route changes them, with the token of a session that begins. */
  #responseFields(fields: Fields, { peer }: Stream): Fields {
    const { plan } = this;
    return plan === undefined ? fields : this.#proxy.sessions.begin(plan, peer, responseFields(plan, fields));
  }

  streamData(chunk: Buffer): void {
    this.#request.responseData(chunk);
  }

  streamEnd(trailers: string): void {
    this.#request.responseEnd(trailers);
  }

  streamWritable(): void {
    this.#request.resumeBody();
  }

  streamReset(error: WeftError): void {
    const { attempts, plan } = this;
    const { code, message } = error;
    const { method, received } = this.#request;
    const retry = plan?.rule.retry;
    attempts.stream = undefined;
    try {
      const worth = worthRepeating(retry, code, method, plan?.fields ?? received);
      if (worth && this.#repeats(`${code}: ${message}`)) return;
      this.#request.fail(retry === undefined ? error : exhausted(error, attempts.count));
    } catch (refusal) {
      this.#request.fail(refusal);
    }
  }
}
