/**
 * One request on its way out of this host: read it from `start` downwards.
 *
 *   start ─▶ routes known? ─▶ route: rule, filters, session or backend ─────▶ forwarding ─▶ endpoint ─▶ response
 *              └─▶ hold          └─▶ has to be agreed to: auth-question ─yes──▲   ▲  └─ failed ─▶ may it be repeated?
 *                                       └─ no, with this response                 └──── wait ────────┘
 *
 * Whatever comes from the caller's connection, and all responses, pass here. Its rooms: what is kept of the body
 * (kept-body), the tries of what is sent (attempts), the response (answer), how long it may take (request-clock).
 */
import { splitAuthority } from '../../protocol/authority.ts';
import { asWeftError, ERRORS } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import type { Announced, WireResponseHead } from '../../protocol/head.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { applyCors } from '../../protocol/routes/cors.ts';
import { type AnswerPlan, type AuthPlan, type Plan, planRequest } from '../../protocol/routes/plan.ts';
import type { RequestHead } from '../http1/head.ts';
import { reasonPhrase } from '../http1/reason-phrase.ts';
import type { ServerConnection, ServerExchange } from '../http1/server-connection.ts';
import type { Stream } from '../link/stream.ts';
import { Answer, unexpected } from './answer.ts';
import type { Attempts } from './attempts.ts';
import { AuthQuestion, type QuestionedRequest } from './auth-question.ts';
import { refuseUnexposed } from './early-refusal.ts';
import { failureOf, sendFailure } from './failure.ts';
import { type ForwardedRequest, Forwarding } from './forwarding.ts';
import { KeptBody } from './kept-body.ts';
import type { OutboundProxy } from './proxy.ts';
import { NEVER, RequestClock } from './request-clock.ts';
import { requestFields } from './request-fields.ts';
import { noService } from './router.ts';
import type { Sessions } from './session-persistence.ts';

export class OutboundExchange implements ServerExchange, ForwardedRequest, QuestionedRequest {
  /** In the roster of the requests under way. */
  place = 0;
  readonly body: KeptBody;
  readonly clock: RequestClock;
  /** What is asked for: a name, until it is known which service is behind it. '' if that is none. */
  service = '';
  /** Its lines as they came, with what the mesh has to say. */
  received: Fields = [];
  readonly #proxy: OutboundProxy;
  readonly #connection: ServerConnection;
  readonly #request: RequestHead;
  readonly #startedMs: number;
  readonly #answer: Answer;
  readonly #forwarding: Forwarding;
  #traceId: string | undefined;
  /** Until when it is held because the routes of the service are on their way. */
  #routeByMs = NEVER;
  /** While it is with an authorization service; what that says, unless it agrees, is the response. */
  #question: AuthQuestion | undefined;
  /** The last that has agreed, and the lines with which it did: not asked again when the request goes elsewhere. */
  #agreed: { readonly auth: AuthPlan['auth']; readonly consent: Fields } | undefined;
  #over = false;

  constructor(proxy: OutboundProxy, connection: ServerConnection, request: RequestHead) {
    const { parts } = proxy;
    this.#proxy = proxy;
    this.#connection = connection;
    this.#request = request;
    this.#startedMs = parts.now();
    this.body = new KeptBody(request.bodyLength === 0 && request.upgrade === undefined);
    this.#answer = new Answer(connection);
    this.#forwarding = new Forwarding(proxy, this);
    this.clock = new RequestClock();
    this.awaitNext(this.#startedMs);
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    return this.#request.path;
  }

  get caller(): string | undefined {
    return this.#proxy.caller;
  }

  get upgrades(): boolean {
    return this.#request.upgrade !== undefined;
  }

  get answered(): boolean {
    return this.#answer.begun;
  }

  start(): void {
    const { parts, router } = this.#proxy;
    try {
      this.service = router.nameOf(this.#request.host);
      const passage = `1.1 weft-${parts.agent} (${this.service})`;
      this.received = requestFields(this.#request, this.#connection.remoteAddress, passage);
      this.#traceId = parts.tracer.continue(this.received);
      parts.budget.request();
      if (parts.routes.knows(this.service)) this.#route();
      else this.#holdForRoutes();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The first request to a service: its routes are being fetched, and it must not go round them. */
  #holdForRoutes(): void {
    if (!this.body.ended) this.#connection.pauseRequest();
    this.#routeByMs = this.#proxy.parts.now() + LIMITS.snapshotWaitMs;
    this.#proxy.parts.wake();
  }

  #routeHeld(nowMs: number): void {
    if (nowMs < this.#routeByMs && !this.#proxy.parts.routes.knows(this.service)) return;
    this.#routeByMs = NEVER;
    try {
      this.#route();
      this.resumeBody();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Decides by the routes of the service what becomes of the request, and sends it. */
  #route(): void {
    const { parts, namespace, sessions } = this.#proxy;
    this.service = parts.routes.serviceOf(this.service) ?? '';
    if (this.service === '') throw noService(this.#request.host);
    refuseUnexposed(parts, this.service, namespace);
    this.#routeBy(sessions);
  }

  /** `sessions`: those that it may go on with; undefined to begin a new one. */
  #routeBy(sessions: Sessions | undefined): void {
    const { parts, namespace } = this.#proxy;
    const table = parts.routes.tableOf(this.service, namespace);
    if (table !== undefined) {
      const { method, path: target, host } = this.#request;
      const { hostname, port } = splitAuthority(host);
      const request = { method, target, hostname, port, fields: this.received };
      const plan = planRequest(table, request, parts.random, sessions);
      if (plan !== undefined) return this.#carryOut(plan);
    }
    this.#forwarding.plan = undefined;
    this.#forwarding.begin();
  }

  #carryOut(plan: Plan): void {
    if (plan.answer !== undefined) return this.#answerItself(plan.answer);
    if (plan.auth !== undefined) return this.#ask(plan);
    refuseUnexposed(this.#proxy.parts, plan.backend, this.#proxy.namespace);
    this.#forwarding.plan = plan;
    this.clock.startDeadline(this.#proxy.parts.now(), plan.rule.timeouts.requestMs);
    this.awaitNext();
    this.#forwarding.begin();
  }

  /** Responds by itself: a redirect, or the answer to a preflight. */
  #answerItself({ status, fields }: AnswerPlan['answer']): void {
    this.#answer.begin(status, undefined);
    this.#connection.respond(status, reasonPhrase(status), fields, status === 204 ? undefined : 0, true);
    this.#finish('');
  }

  /** Has an authorization service decide. Nothing of the body leaves before, but for what that gets of it. */
  #ask(plan: AuthPlan): void {
    if (this.#agreed?.auth === plan.auth) return this.#carryOut(plan.granted(this.#agreed.consent));
    const question = new AuthQuestion(this.#proxy.parts, plan, this);
    this.#question = question;
    this.#forwarding.plan = undefined;
    this.clock.startDeadline(this.#proxy.parts.now(), plan.rule.timeouts.requestMs);
    question.checkBody(Math.max(this.body.bytes, this.#request.bodyLength));
    if (question.awaitsBody) {
      if (this.#request.expectContinue) this.#connection.inform(100, 'Continue', []);
      this.#connection.resumeRequest();
      return;
    }
    if (!this.body.ended) this.#connection.pauseRequest();
    question.put();
  }

  /** The authorization service agrees: the request goes on, with the lines that are taken from its response. */
  granted(plan: AuthPlan, consent: Fields): void {
    if (this.#over) return;
    this.#question = undefined;
    this.#agreed = { auth: plan.auth, consent };
    this.#forwarding.beginAnew();
    this.#carryOut(plan.granted(consent));
    this.resumeBody();
  }

  /** The endpoint of its session has failed: the routes decide once more, as for one that has none. */
  leaveSession(): void {
    this.#routeBy(undefined);
  }

  requestData(chunk: Buffer): void {
    if (this.#over) return;
    this.clock.moved = true;
    this.body.keep(chunk);
    if (this.#question !== undefined) return this.#holdBack(this.#question);
    if (!this.#forwarding.data(chunk)) this.#connection.pauseRequest();
  }

  /** More of a body has come that may not go on yet. */
  #holdBack(question: AuthQuestion): void {
    try {
      if (question.attempts.stream === undefined) question.checkBody(this.body.bytes);
      else this.#connection.pauseRequest();
    } catch (error) {
      this.fail(error);
    }
  }

  requestEnd(trailers: Fields | undefined): void {
    if (this.#over) return;
    const question = this.#question;
    const due = question?.awaitsBody === true;
    this.body.ended = true;
    this.body.trailers = trailers;
    this.awaitNext();
    if (question === undefined) {
      this.#forwarding.end();
      if (this.#answer.halfClosed) this.#finish('');
    } else if (due) question.sendAgain();
  }

  /** Reads on, unless the body has to wait until it is agreed that it may go anywhere. */
  resumeBody(): void {
    if (!this.body.ended && !this.#over && this.#question === undefined) this.#connection.resumeRequest();
  }

  requestAborted(): void {
    if (this.#over) return;
    this.#current().stream?.reset('cancelled', 'the caller went away');
    this.#answer.status = ERRORS.cancelled.status;
    this.#finish('cancelled');
  }

  inform(status: number, reason: string, fields: Fields): void {
    this.#connection.inform(status, reason, fields);
  }

  responseDrained(): void {
    this.#answer.drained();
  }

  /** Begins the response. @throws WeftError `stream_protocol` if it is not one to this request */
  respond(head: WireResponseHead & Announced, fields: Fields, stream: Stream, last: boolean): void {
    if (this.#over) return;
    const { status, reason, contentLength } = head;
    const upgrading = this.upgrades && this.#question === undefined;
    if (this.#answer.begun) throw unexpected('a second response');
    if (status < 200 && !(status === 101 && upgrading && !last)) throw unexpected(`status ${status}`);
    this.#answer.begin(status, stream);
    this.body.forget();
    this.awaitNext();
    if (status === 101) {
      this.clock.dropDeadline();
      this.#forwarding.attempts.stopClock();
    } else if (upgrading) this.requestEnd(undefined);
    this.#connection.respond(status, reason, fields, contentLength, last);
    if (last) this.#finish('');
  }

  responseData(chunk: Buffer): void {
    if (this.#over) return;
    this.clock.moved = true;
    try {
      this.#answer.data(chunk);
    } catch (error) {
      this.fail(error);
    }
  }

  responseEnd(trailers: string): void {
    if (this.#over) return;
    try {
      const upgraded = this.#answer.status === 101;
      this.#answer.end(trailers);
      if (!upgraded || this.body.ended) this.#finish('');
      else this.#answer.halfClosed = true;
    } catch (error) {
      this.fail(error);
    }
  }

  /** True if what is sent can be sent once more; `retriesMax`: how often beside the first time. */
  mayRepeat(attempts: Attempts, retriesMax: number): boolean {
    return !this.#answer.begun && this.body.whole && attempts.count <= retriesMax;
  }

  /** Has it sent once more in a while; false if the budget is used up. */
  repeat(attempts: Attempts, leastMs: number): boolean {
    const { budget, recorder } = this.#proxy.parts;
    if (!budget.retry()) return false;
    recorder.retried(this.service);
    // What is kept of the body must stay all of it until it is sent again.
    if (!this.body.ended) this.#connection.pauseRequest();
    attempts.repeat(leastMs);
    return true;
  }

  /** From now on it is waited for what is to come next: the response head once the request is complete, else any byte. */
  awaitNext(nowMs = this.#proxy.parts.now()): void {
    if (this.#answer.begun || !this.body.ended) return this.clock.awaitBytes(nowMs);
    // Who sets a time in the route, or none, has said how long the response may take.
    const { requestMs, backendRequestMs } = this.#forwarding.plan?.rule.timeouts ?? {};
    const bounded = requestMs === undefined && backendRequestMs === undefined;
    this.clock.awaitHead(nowMs, bounded ? LIMITS.responseHeadTimeoutMs : NEVER);
  }

  tick(nowMs: number): void {
    if (this.#routeByMs !== NEVER) return this.#routeHeld(nowMs);
    const late = this.clock.outOfTime(nowMs);
    if (late !== undefined) return this.fail(late);
    if (this.#current().tick(nowMs)) return;
    const idle = this.clock.outOfPatience(nowMs);
    if (idle !== undefined) this.fail(idle);
  }

  /** The tries that are under way: of the question, or of the request itself. */
  #current(): Attempts {
    return (this.#question ?? this.#forwarding).attempts;
  }

  /** Ends the request with an error: as a response if none has begun, else by breaking it off. */
  fail(cause: unknown): void {
    if (this.#over) return;
    const error = asWeftError(cause);
    const { parts, caller } = this.#proxy;
    const { stream, count: tries } = this.#current();
    const { method, path } = this.#request;
    const endpoint = stream?.peer;
    stream?.reset(error.code, error.message);
    const service = this.service || undefined;
    const traceId = this.#traceId;
    parts.failed({ side: 'outbound', error, caller, service, method, path, traceId, endpoint, tries });
    if (this.#answer.begun) {
      this.#finish(error.code);
      this.#connection.abort();
      return;
    }
    const made = failureOf(error, parts.agent, traceId);
    // A browser shows a script nothing of a response that CORS does not let it read.
    const cors = error.fields ?? (this.#question ?? this.#forwarding).plan?.cors;
    const failure = cors === undefined ? made : { ...made, fields: applyCors(made.fields, cors) };
    this.#answer.status = failure.status;
    this.#finish(error.code);
    sendFailure(this.#connection, method, failure);
  }

  #finish(code: string): void {
    this.#over = true;
    const { parts, active } = this.#proxy;
    active.delete(this);
    // An answer may come before the whole request has left: the far side need not wait for the rest.
    this.#current().release();
    this.body.forget();
    if (!this.body.ended) this.#forwarding.cancelCopies();
    parts.recorder.ended(this.service, this.#answer.status, code, parts.now() - this.#startedMs);
  }
}
