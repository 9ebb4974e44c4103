/**
 * The question whether a request may go on, put to the authorization service that its route names. Its yes is a response of
 * status 200; any other response is the caller's. What ends it without a decision ends the request: it fails closed.
 */
import { asWeftError, WeftError } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import {
  type Announced,
  decodeResponseHead,
  type WireRequestHead,
  type WireResponseHead,
} from '../../protocol/head.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { authFields } from '../../protocol/routes/external-auth.ts';
import type { AuthPlan } from '../../protocol/routes/plan.ts';
import { responseFields } from '../../protocol/routes/response-fields.ts';
import { ruleName } from '../../protocol/snapshot.ts';
import type { Stream } from '../link/stream.ts';
import { Attempts, type Sender } from './attempts.ts';
import { refuseEarly } from './early-refusal.ts';
import type { KeptBody } from './kept-body.ts';
import type { OutboundParts } from './proxy.ts';
import type { RequestClock } from './request-clock.ts';
import { worthRetrying } from './retry.ts';

/** The request that it is about. */
export interface QuestionedRequest {
  readonly method: string;
  readonly caller: string | undefined;
  /** Its lines as they came. */
  readonly received: Fields;
  readonly upgrades: boolean;
  readonly body: KeptBody;
  readonly clock: RequestClock;
  /** Its response has begun. */
  readonly answered: boolean;
  /** It may go on. */
  granted(plan: AuthPlan, consent: Fields): void;
  /** This is the response to it. */
  respond(head: WireResponseHead & Announced, fields: Fields, stream: Stream, last: boolean): void;
  responseData(chunk: Buffer): void;
  responseEnd(trailers: string): void;
  mayRepeat(attempts: Attempts, retriesMax: number): boolean;
  repeat(attempts: Attempts, leastMs: number): boolean;
  fail(error: unknown): void;
}

export class AuthQuestion implements Sender {
  readonly plan: AuthPlan;
  readonly attempts: Attempts;
  readonly #parts: OutboundParts;
  readonly #request: QuestionedRequest;

  constructor(parts: OutboundParts, plan: AuthPlan, request: QuestionedRequest) {
    this.plan = plan;
    this.attempts = new Attempts(parts, this);
    this.#parts = parts;
    this.#request = request;
  }

  /** True if the service gets the body, and not all of it is there. */
  get awaitsBody(): boolean {
    const { body, upgrades } = this.#request;
    return this.plan.auth.bodyBytesMax > 0 && !body.ended && !upgrades;
  }

  /** @throws WeftError `body_too_large` if a body of so many bytes is not shown, and so cannot be agreed to */
  checkBody(bytes: number): void {
    const { service, bodyBytesMax } = this.plan.auth;
    if (bodyBytesMax === 0 || bytes <= bodyBytesMax) return;
    const over = `the body is over the ${bodyBytesMax} bytes that ${service} is shown before it agrees`;
    throw new WeftError('body_too_large', `${ruleName(this.plan.rule)}: ${over}`);
  }

  put(): void {
    const { auth } = this.plan;
    const { body, clock } = this.#request;
    const shown = auth.bodyBytesMax === 0 ? [] : body.chunks;
    const bytes = shown.reduce((sum, { length }) => sum + length, 0);
    const head = this.#head(bytes, this.attempts.startClock(LIMITS.externalAuthMs, clock.deadlineMs));
    this.#refuseEarly(head);
    const stream = this.attempts.open(head, bytes === 0);
    if (bytes === 0) return;
    for (const chunk of shown) stream.sendData(chunk);
    stream.sendEnd('');
  }

  #head(bytes: number, deadlineMs: number | undefined): WireRequestHead {
    const { auth, target } = this.plan;
    const { method, caller, received } = this.#request;
    const fields = authFields(auth, received, bytes);
    return { method, target, service: auth.service, caller, deadlineMs, fields };
  }

  #refuseEarly(head: WireRequestHead): void {
    try {
      refuseEarly(this.#parts, head);
    } catch (error) {
      throw this.#undecided(asWeftError(error));
    }
  }

  sendAgain(): void {
    try {
      this.put();
    } catch (error) {
      this.#request.fail(error);
    }
  }

  streamInformational(): void {}

  streamResponse(text: string, last: boolean): void {
    const { plan, attempts } = this;
    try {
      const head = decodeResponseHead(text);
      if (head.status === 200 && !this.#request.answered) {
        attempts.release();
        this.#request.granted(plan, head.fields);
      } else {
        this.#request.respond(head, responseFields(plan, head.fields), attempts.stream as Stream, last);
      }
    } catch (error) {
      this.#request.fail(error);
    }
  }

  streamData(chunk: Buffer): void {
    this.#request.responseData(chunk);
  }

  streamEnd(trailers: string): void {
    this.#request.responseEnd(trailers);
  }

  streamReset(error: WeftError): void {
    const { attempts } = this;
    attempts.stream = undefined;
    const again = worthRetrying(error.code) && this.#request.mayRepeat(attempts, LIMITS.retriesMax);
    if (!again || !this.#request.repeat(attempts, 0)) this.#request.fail(this.#undecided(error));
  }

  /** The body waits until it is agreed that it may go anywhere. */
  streamWritable(): void {}

  #undecided({ code, message }: WeftError): WeftError {
    const { auth, rule } = this.plan;
    const where = `${ruleName(rule)}: ExternalAuth ${auth.service}`;
    return new WeftError('auth_unavailable', `${where}: ${code}: ${message}`);
  }
}
