/**
 * The way of a request out of this host: read it from `OutboundProxy.request` downwards.
 *
 *   app ─▶ door ─▶ who is asked · loop? · fields · trace ─▶ route: rule, filters, session or backend ─▶ pick an endpoint ─▶ stream
 *                                                                                          └─▶ may have to be agreed to first
 *                            failed, and may be tried again ◀─────────────────────────────────────┘   │
 *                                      └─▶ wait, once more ─▶                                         ▼
 *   app ◀─ response head, body, trailers ◀───────────────────────────────────────────────────────── stream
 */
import { splitAuthority } from '../../protocol/authority.ts';
import { asWeftError, ERRORS, WeftError } from '../../protocol/errors.ts';
import { type Fields, fieldsText } from '../../protocol/fields.ts';
import {
  decodeResponseHead,
  decodeTrailers,
  encodeRequestHead,
  type WireRequestHead,
} from '../../protocol/head.ts';
import { isIdempotent } from '../../protocol/idempotent.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { DEFAULT_NAMESPACE, isServiceName, serviceParts } from '../../protocol/names.ts';
import { applyCors } from '../../protocol/routes/cors.ts';
import {
  type AnswerPlan,
  type AuthPlan,
  type ForwardPlan,
  type Plan,
  planRequest,
} from '../../protocol/routes/plan.ts';
import { responseFields } from '../../protocol/routes/response-fields.ts';
import type { Tracer } from '../../protocol/trace.ts';
import type { Authorization } from '../authorization.ts';
import type { FailedRequest } from '../failure-log.ts';
import type { RequestHead } from '../http1/head.ts';
import { reasonPhrase } from '../http1/reason-phrase.ts';
import type { ServerConnection, ServerExchange, ServerHandler } from '../http1/server-connection.ts';
import type { Stream, StreamHandler } from '../link/stream.ts';
import type { RequestRecorder } from '../metrics.ts';
import { Roster } from '../roster.ts';
import { checkShownBody, questionHead, undecided } from './auth-question.ts';
import type { Balancer } from './balancer.ts';
import { failureOf, sendFailure } from './failure.ts';
import { MirrorCopy } from './mirror.ts';
import { requestFields } from './request-fields.ts';
import { backoffMs, isConnectionError, type RetryBudget, routeRetries, worthRetrying } from './retry.ts';
import type { RouteBook } from './route-book.ts';
import { noService, Router } from './router.ts';
import { Sessions } from './session-persistence.ts';

/** Opens streams: over the bus, or to the inbound side of this agent. `agent` undefined: the bus picks. */
export type OpenStream = (
  service: string,
  endpoint: ReturnType<Balancer['pick']>,
  head: string,
  last: boolean,
  handler: StreamHandler,
) => Stream;

/** What the outbound side of an agent needs; the same for all its doors. */
export interface OutboundParts {
  readonly agent: string;
  readonly open: OpenStream;
  readonly balancer: Balancer;
  readonly routes: RouteBook;
  readonly authorization: Authorization;
  /** Has the clock of the requests that wait run. */
  readonly wake: () => void;
  readonly budget: RetryBudget;
  readonly tracer: Tracer;
  readonly recorder: RequestRecorder;
  readonly now: () => number;
  /** The time of day, ms. */
  readonly wallMs: () => number;
  readonly random: () => number;
  readonly failed: (failure: FailedRequest) => void;
}

/** The outbound side of one door: its requests come from the workload `caller`, or from whoever it is if there is none. */
export class OutboundProxy implements ServerHandler {
  readonly parts: OutboundParts;
  readonly caller: string | undefined;
  readonly router: Router;
  readonly sessions: Sessions;
  /** Of the caller; undefined if it has no identity. */
  readonly namespace: string | undefined;
  readonly active = new Roster<OutboundExchange>();
  readonly mirrors = new Roster<MirrorCopy>();
  readonly #closed: (connection: ServerConnection) => void;

  constructor(
    parts: OutboundParts,
    caller: string | undefined,
    closed: (connection: ServerConnection) => void,
  ) {
    this.parts = parts;
    this.caller = caller;
    this.namespace = caller === undefined ? undefined : serviceParts(caller).namespace;
    this.router = new Router(this.namespace ?? DEFAULT_NAMESPACE);
    this.sessions = new Sessions(parts.balancer, parts.wallMs);
    this.#closed = closed;
  }

  request(connection: ServerConnection, head: RequestHead): ServerExchange {
    const exchange = new OutboundExchange(this, connection, head);
    this.active.add(exchange);
    exchange.start();
    return exchange;
  }

  refuse(connection: ServerConnection, error: WeftError): void {
    this.parts.recorder.ended('', ERRORS[error.code].status, error.code, 0);
    this.#log(error);
    sendFailure(connection, '', failureOf(error, this.parts.agent, undefined));
  }

  brokenOff(error: WeftError): void {
    // What anybody else did wrong has been said where it was noticed.
    if (error.code === 'internal') this.#log(error);
  }

  #log(error: WeftError): void {
    const { caller } = this;
    const unknown = { service: undefined, method: undefined, path: undefined, traceId: undefined };
    this.parts.failed({ side: 'outbound', error, caller, ...unknown, endpoint: undefined, tries: 0 });
  }

  connectRefusal(authority: string): WeftError | undefined {
    const { routes } = this.parts;
    try {
      const name = this.router.nameOf(authority);
      if (isServiceName(name)) return undefined;
      // Whoever wants TLS to a host elsewhere is told at once; others are answered in the tunnel if it is no alias.
      const may = routes.knows(name)
        ? routes.serviceOf(name) !== undefined
        : splitAuthority(authority).port !== HTTPS_PORT;
      return may ? undefined : noService(authority);
    } catch (error) {
      return error as WeftError;
    }
  }

  closed(connection: ServerConnection): void {
    this.#closed(connection);
  }

  /** Ends what has waited too long; called every few milliseconds while requests are under way. */
  tick(nowMs: number): void {
    this.active.visit((exchange) => exchange.tick(nowMs));
    this.mirrors.visit((copy) => copy.tick(nowMs));
  }
}

const NEVER = Number.POSITIVE_INFINITY;
const NO_COPIES: readonly MirrorCopy[] = [];
const HTTPS_PORT = 443;

class OutboundExchange implements ServerExchange, StreamHandler {
  /** In the roster of the requests under way. */
  place = 0;
  readonly #proxy: OutboundProxy;
  readonly #connection: ServerConnection;
  readonly #request: RequestHead;
  readonly #startedMs: number;
  #service: string | undefined;
  /** Until when it is held because the routes of the service are on their way. */
  #routeByMs = NEVER;
  /** What its route makes of it; undefined if the service has none. */
  #plan: ForwardPlan | undefined;
  #mirrors: readonly MirrorCopy[] | undefined;
  /** While it is with an authorization service; what that says, unless it agrees, is the response. */
  #asking: AuthPlan | undefined;
  /** The last that has agreed, and the lines with which it did: not asked again when the request goes elsewhere. */
  #agreed: { readonly auth: AuthPlan['auth']; readonly consent: Fields } | undefined;
  /** Its lines as they came, and as they leave. */
  #received: Fields = [];
  #fields: Fields = [];
  #traceId: string | undefined;
  #stream: Stream | undefined;
  /** Where the last try went; undefined: the bus has picked. */
  #endpoint: ReturnType<Balancer['pick']>;
  #tries = 0;
  /** When the request is to be sent again. */
  #retryAtMs = NEVER;
  /** Body kept so that the request can be sent again; undefined once that is out of the question. */
  #body: Buffer[] | undefined = [];
  #bodyBytes = 0;
  #trailers: Fields | undefined;
  #requestEnded: boolean;
  #responded = false;
  /** After an upgrade: the application at the far side sends no more. */
  #halfClosed = false;
  #status = 0;
  #undrained = 0;
  #over = false;
  /** When the wait for the response head, or for any byte, ends. */
  #waitUntilMs: number;
  /** When the route's time for the whole of it, and for this try, ends. */
  #deadlineMs = NEVER;
  #tryUntilMs = NEVER;
  #moved = false;

  constructor(proxy: OutboundProxy, connection: ServerConnection, request: RequestHead) {
    this.#proxy = proxy;
    this.#connection = connection;
    this.#request = request;
    this.#startedMs = proxy.parts.now();
    this.#requestEnded = request.bodyLength === 0 && request.upgrade === undefined;
    this.#waitUntilMs = this.#startedMs + this.#patienceMs();
  }

  start(): void {
    const { parts, router } = this.#proxy;
    try {
      // The name that is asked for, until it is known what is behind it.
      this.#service = router.nameOf(this.#request.host);
      const passage = `1.1 weft-${parts.agent} (${this.#service})`;
      this.#received = this.#fields = requestFields(this.#request, this.#connection.remoteAddress, passage);
      this.#traceId = parts.tracer.continue(this.#fields);
      parts.budget.request();
      if (parts.routes.knows(this.#service)) this.#route();
      else this.#holdForRoutes();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The first request to a service: its routes are being fetched, and it must not go round them. */
  #holdForRoutes(): void {
    if (!this.#requestEnded) this.#connection.pauseRequest();
    this.#routeByMs = this.#proxy.parts.now() + LIMITS.snapshotWaitMs;
    this.#proxy.parts.wake();
  }

  #routeHeld(nowMs: number): void {
    if (nowMs < this.#routeByMs && !this.#proxy.parts.routes.knows(this.#service as string)) return;
    this.#routeByMs = NEVER;
    try {
      this.#route();
      this.#resumeBody();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Decides by the routes of the service what becomes of the request, and sends it. */
  #route(): void {
    const { parts } = this.#proxy;
    this.#service = parts.routes.serviceOf(this.#service as string);
    if (this.#service === undefined) throw noService(this.#request.host);
    this.#admit(this.#service);
    this.#routeBy(this.#proxy.sessions);
  }

  /** `sessions`: those that it may go on with; undefined to begin a new one. */
  #routeBy(sessions: Sessions | undefined): void {
    const { parts, namespace } = this.#proxy;
    const table = parts.routes.tableOf(this.#service as string, namespace);
    if (table !== undefined) {
      const { method, path: target, host } = this.#request;
      const { hostname, port } = splitAuthority(host);
      const request = { method, target, hostname, port, fields: this.#received };
      const plan = planRequest(table, request, parts.random, sessions);
      if (plan !== undefined) return this.#carryOut(plan);
    }
    this.#authorize();
    this.#dispatch();
  }

  #carryOut(plan: Plan): void {
    if (plan.answer !== undefined) return this.#answer(plan.answer);
    if (plan.auth !== undefined) {
      const { auth, consent } = this.#agreed ?? {};
      if (auth === plan.auth) return this.#carryOut(plan.granted(consent as Fields));
      return this.#ask(plan);
    }
    this.#follow(plan);
    this.#authorize();
    this.#dispatch();
  }

  /** Has an authorization service decide. Nothing of the body leaves before, but for what that gets of it. */
  #ask(plan: AuthPlan): void {
    this.#asking = plan;
    this.#plan = undefined;
    this.#tries = 0;
    this.#startDeadline(plan.rule.timeouts.requestMs);
    checkShownBody(plan, Math.max(this.#bodyBytes, this.#request.bodyLength));
    if (this.#awaitsBody(plan)) {
      if (this.#request.expectContinue) this.#connection.inform(100, 'Continue', []);
      this.#connection.resumeRequest();
      return;
    }
    if (!this.#requestEnded) this.#connection.pauseRequest();
    this.#dispatch();
  }

  /** True if the service gets the body, and not all of it is there. */
  #awaitsBody({ auth }: AuthPlan): boolean {
    return auth.bodyBytesMax > 0 && !this.#requestEnded && this.#request.upgrade === undefined;
  }

  /** Puts the question. */
  #sendQuestion(plan: AuthPlan): void {
    const { parts, caller } = this.#proxy;
    const { service, bodyBytesMax } = plan.auth;
    const { method } = this.#request;
    const body = bodyBytesMax === 0 ? [] : (this.#body ?? []);
    const bytes = body.reduce((sum, { length }) => sum + length, 0);
    const nowMs = parts.now();
    this.#tryUntilMs = nowMs + LIMITS.externalAuthMs;
    const deadlineMs = Math.min(this.#tryUntilMs, this.#deadlineMs) - nowMs;
    const head = questionHead(plan, { method, caller, deadlineMs }, this.#received, bytes);
    this.#endpoint =
      this.#tries === 0
        ? parts.balancer.pick(service, isIdempotent(method))
        : parts.balancer.pickOther(service, this.#endpoint);
    this.#tries += 1;
    this.#stream = parts.open(service, this.#endpoint, encodeRequestHead(head), bytes === 0, this);
    if (bytes === 0) return;
    for (const chunk of body) this.#stream.sendData(chunk);
    this.#stream.sendEnd('');
  }

  /** The authorization service agrees: the request goes on, with the lines that are taken from its response. */
  #goOn(plan: AuthPlan, consent: Fields): void {
    this.#stream?.release();
    this.#stream = undefined;
    this.#asking = undefined;
    this.#agreed = { auth: plan.auth, consent };
    this.#tries = 0;
    this.#endpoint = undefined;
    this.#tryUntilMs = NEVER;
    this.#carryOut(plan.granted(consent));
    this.#resumeBody();
  }

  /** Reads on, unless the body has to wait until it is agreed that it may go anywhere. */
  #resumeBody(): void {
    if (!this.#requestEnded && !this.#over && this.#asking === undefined) this.#connection.resumeRequest();
  }

  /** Refuses early what the far side will refuse. */
  #admit(service: string): void {
    const refusal = this.#proxy.parts.routes.refusal(service, this.#proxy.namespace);
    if (refusal !== undefined) throw new WeftError('denied', refusal);
  }

  /** The same by the policies of who is to serve it, about the request as it will get there. */
  #authorize(): void {
    const { parts, caller } = this.#proxy;
    const service = this.#plan?.backend ?? (this.#service as string);
    const snapshot = parts.routes.snapshotOf(service);
    if (snapshot?.authorization === undefined) return;
    const target = this.#plan?.target ?? this.#request.path;
    const request = { caller, method: this.#request.method, target, fields: this.#fields };
    parts.authorization.refuseEarly(service, snapshot, request);
  }

  #follow(plan: ForwardPlan): void {
    this.#admit(plan.backend);
    this.#plan = plan;
    this.#fields = plan.fields;
    this.#startDeadline(plan.rule.timeouts.requestMs);
    this.#waitUntilMs = this.#proxy.parts.now() + this.#patienceMs();
  }

  /** Not from its start: what it waited for its routes is not the backend's. */
  #startDeadline(requestMs = 0): void {
    if (requestMs > 0 && this.#deadlineMs === NEVER) this.#deadlineMs = this.#proxy.parts.now() + requestMs;
  }

  /** Responds by itself: a redirect, or the answer to a preflight. */
  #answer({ status, fields }: AnswerPlan['answer']): void {
    this.#responded = true;
    this.#status = status;
    this.#connection.respond(status, reasonPhrase(status), fields, status === 204 ? undefined : 0, true);
    this.#finish('');
  }

  /** Sends the request, or what is known of it, to an endpoint; before it may go there, the question. */
  #dispatch(): void {
    if (this.#asking !== undefined) return this.#sendQuestion(this.#asking);
    const { parts, caller } = this.#proxy;
    const service = this.#plan?.backend ?? (this.#service as string);
    const head = {
      method: this.#request.method,
      target: this.#plan?.target ?? this.#request.path,
      service,
      caller,
      deadlineMs: this.#remainingMs(),
      fields: this.#fields,
    };
    const endpoint =
      this.#plan?.session?.endpoint ??
      (this.#tries === 0
        ? parts.balancer.pick(service, isIdempotent(this.#request.method))
        : parts.balancer.pickOther(service, this.#endpoint));
    this.#endpoint = endpoint;
    this.#tries += 1;
    const bodiless = this.#requestEnded && this.#bodyBytes === 0 && this.#trailers === undefined;
    const stream = parts.open(service, endpoint, encodeRequestHead(head), bodiless, this);
    this.#stream = stream;
    if (this.#plan !== undefined && this.#mirrors === undefined) this.#mirror(this.#plan, head, bodiless);
    if (bodiless) return;
    for (const chunk of this.#body ?? []) {
      stream.sendData(chunk);
      if (this.#tries === 1) for (const copy of this.#mirrors ?? NO_COPIES) copy.data(chunk);
    }
    if (this.#requestEnded) this.#sendEnd();
    else if (this.#tries > 1) this.#connection.resumeRequest();
  }

  /** Starts the copies that the route asks for. */
  #mirror({ mirrors }: ForwardPlan, head: WireRequestHead, bodiless: boolean): void {
    const { parts, mirrors: active } = this.#proxy;
    // What comes after an upgrade is no request, and nobody would read the other half of the conversation.
    const services = this.#request.upgrade === undefined ? mirrors : [];
    this.#mirrors = services.map((service) => {
      const copy = new MirrorCopy(active, parts.now());
      copy.start(parts.open, { ...head, service, deadlineMs: LIMITS.mirrorMs }, bodiless);
      return copy;
    });
  }

  /**
   * Starts the clock of this try. Returns the time until the response head has to be there; undefined if that is
   * not bounded, or depends on the caller still.
   */
  #remainingMs(): number | undefined {
    const { backendRequestMs = 0 } = this.#plan?.rule.timeouts ?? {};
    const nowMs = this.#proxy.parts.now();
    this.#tryUntilMs = backendRequestMs > 0 ? nowMs + backendRequestMs : NEVER;
    const head = this.#requestEnded ? this.#waitUntilMs : NEVER;
    const untilMs = Math.min(head, this.#deadlineMs, this.#tryUntilMs);
    return untilMs === NEVER ? undefined : untilMs - nowMs;
  }

  requestData(chunk: Buffer): void {
    if (this.#over) return;
    this.#moved = true;
    if (this.#body !== undefined && !this.#responded) this.#keep(chunk);
    if (this.#asking !== undefined) return this.#heldBack(this.#asking);
    for (const copy of this.#mirrors ?? NO_COPIES) copy.data(chunk);
    if (this.#stream === undefined || !this.#stream.sendData(chunk)) this.#connection.pauseRequest();
  }

  /** More of a body has come that may not go on yet. */
  #heldBack(plan: AuthPlan): void {
    try {
      if (this.#stream === undefined) checkShownBody(plan, this.#bodyBytes);
      else this.#connection.pauseRequest();
    } catch (error) {
      this.#fail(error);
    }
  }

  requestEnd(trailers: Fields | undefined): void {
    if (this.#over) return;
    const waited = this.#asking !== undefined && this.#awaitsBody(this.#asking);
    this.#requestEnded = true;
    this.#trailers = trailers;
    this.#waitUntilMs = this.#proxy.parts.now() + this.#patienceMs();
    if (this.#asking === undefined) this.#sendEnd();
    else if (waited) this.#putQuestion();
  }

  #putQuestion(): void {
    try {
      this.#dispatch();
    } catch (error) {
      this.#fail(error);
    }
  }

  requestAborted(): void {
    if (this.#over) return;
    this.#stream?.reset('cancelled', 'the caller went away');
    this.#status = ERRORS.cancelled.status;
    this.#finish('cancelled');
  }

  responseDrained(): void {
    if (this.#undrained === 0) return;
    this.#stream?.consumed(this.#undrained);
    this.#undrained = 0;
  }

  streamInformational(text: string): void {
    if (this.#over || this.#responded || this.#asking !== undefined) return;
    try {
      const { status, reason, fields } = decodeResponseHead(text);
      if (status < 100 || status > 199 || status === 101) throw unexpected(`informational status ${status}`);
      this.#connection.inform(status, reason, fields);
    } catch (error) {
      this.#fail(error);
    }
  }

  streamResponse(text: string, last: boolean): void {
    if (this.#over) return;
    try {
      const { status, reason, fields, contentLength } = decodeResponseHead(text);
      const asking = this.#asking;
      const upgrading = this.#request.upgrade !== undefined && asking === undefined;
      if (this.#responded) throw unexpected('a second response');
      if (status < 200 && !(status === 101 && upgrading && !last)) throw unexpected(`status ${status}`);
      if (asking !== undefined && status === 200) return this.#goOn(asking, fields);
      if (this.#plan?.rule.retry?.codes.includes(status) && this.#mayRetryAgain()) {
        this.#stream?.reset('cancelled', `the route has status ${status} tried again`);
        this.#stream = undefined;
        this.#retryLater();
        return;
      }
      const changed = this.#responseFields(fields);
      this.#responded = true;
      this.#status = status;
      this.#body = undefined;
      this.#waitUntilMs = this.#proxy.parts.now() + LIMITS.streamIdleMs;
      // A conversation, other than a response, may take as long as it likes.
      if (status === 101) this.#deadlineMs = this.#tryUntilMs = NEVER;
      if (upgrading && status !== 101) this.requestEnd(undefined);
      this.#connection.respond(status, reason, changed, contentLength, last);
      if (last) this.#finish('');
    } catch (error) {
      this.#fail(error);
    }
  }

  streamData(chunk: Buffer): void {
    if (this.#over) return;
    this.#moved = true;
    try {
      if (!this.#responded) throw unexpected('body before a response head');
      if (this.#connection.write(chunk)) this.#stream?.consumed(chunk.length);
      else this.#undrained += chunk.length;
    } catch (error) {
      this.#fail(error);
    }
  }

  streamEnd(trailers: string): void {
    if (this.#over) return;
    try {
      if (!this.#responded) throw unexpected('an end before a response head');
      const upgraded = this.#status === 101;
      this.#connection.end(decodeTrailers(trailers));
      if (!upgraded || this.#requestEnded) this.#finish('');
      else this.#halfClosed = true;
    } catch (error) {
      this.#fail(error);
    }
  }

  streamReset(error: WeftError): void {
    if (this.#over) return;
    this.#stream = undefined;
    if (this.#mayRetry(error)) this.#retryLater();
    else this.#fail(this.#exhausted(error));
  }

  streamWritable(): void {
    this.#resumeBody();
  }

  tick(nowMs: number): void {
    if (this.#routeByMs !== NEVER) this.#routeHeld(nowMs);
    else if (nowMs >= this.#deadlineMs) this.#outOfTime();
    else if (this.#retryAtMs !== NEVER) {
      if (nowMs >= this.#retryAtMs) this.#retry();
    } else if (nowMs >= this.#tryUntilMs && this.#stream !== undefined) this.#tryOver();
    else if (this.#moved) {
      this.#moved = false;
      this.#waitUntilMs = nowMs + this.#patienceMs();
    } else if (nowMs >= this.#waitUntilMs) this.#timeOut();
  }

  /** How long nothing may happen now: until the head once the request is complete, else until any byte. */
  #patienceMs(): number {
    if (this.#responded || !this.#requestEnded) return LIMITS.streamIdleMs;
    // Who sets a time in the route, or none, has said how long the response may take.
    const { requestMs, backendRequestMs } = this.#plan?.rule.timeouts ?? {};
    return requestMs === undefined && backendRequestMs === undefined ? LIMITS.responseHeadTimeoutMs : NEVER;
  }

  /** The time of the route for the whole request is over, tries and waits included (GEP-1742). */
  #outOfTime(): void {
    const { requestMs = 0 } = (this.#plan ?? this.#asking)?.rule.timeouts ?? {};
    this.#fail(new WeftError('deadline', `not complete within the ${requestMs} ms that its route allows`));
  }

  /** The time of the route for one try is over. */
  #tryOver(): void {
    const { backendRequestMs = 0 } = this.#plan?.rule.timeouts ?? {};
    const limitMs = this.#asking === undefined ? backendRequestMs : LIMITS.externalAuthMs;
    const within = `the backend's response was not complete within the ${limitMs} ms that it is allowed`;
    const error = new WeftError('deadline', within);
    this.#stream?.reset(error.code, error.message);
    this.streamReset(error);
  }

  #timeOut(): void {
    const seconds = this.#patienceMs() / 1000;
    const error =
      this.#responded || !this.#requestEnded
        ? new WeftError('stream_idle', `nothing was sent for ${seconds} s`)
        : new WeftError('deadline', `no response head within ${seconds} s`);
    this.#stream?.reset(error.code, error.message);
    this.#stream = undefined;
    this.#fail(error);
  }

  #sendEnd(): void {
    const trailers = this.#trailers === undefined ? '' : fieldsText(this.#trailers);
    this.#stream?.sendEnd(trailers);
    for (const copy of this.#mirrors ?? NO_COPIES) copy.end(trailers);
    if (this.#halfClosed) this.#finish('');
  }

  #keep(chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > LIMITS.retryBodyBytesMax) this.#body = undefined;
    else this.#body?.push(Buffer.from(chunk));
  }

  #mayRetry(error: WeftError): boolean {
    const retry = this.#plan?.rule.retry;
    const worth =
      worthRetrying(error.code) ||
      (retry !== undefined && routeRetries(retry, error.code, this.#request.method, this.#fields));
    return worth && this.#mayRetryAgain();
  }

  /** True if another try is possible and allowed; it is then taken out of the budget. */
  #mayRetryAgain(): boolean {
    return (
      !this.#responded &&
      this.#body !== undefined &&
      this.#tries <= (this.#plan?.rule.retry?.attempts ?? LIMITS.retriesMax) &&
      this.#proxy.parts.budget.retry()
    );
  }

  /** What the caller is told when the last try of a route's retries has not reached the application (GEP-1731). */
  #exhausted(error: WeftError): WeftError {
    if (this.#asking !== undefined) return undecided(this.#asking, error);
    if (this.#plan?.rule.retry === undefined || this.#tries === 1) return error;
    if (!isConnectionError(error.code) || error.code === 'deadline') return error;
    const last = `${this.#tries} tries, of which the last ended with ${error.code}: ${error.message}`;
    return new WeftError('retries_exhausted', last);
  }

  /** The response's lines as its route changes them, with the token of a session that begins. */
  #responseFields(fields: Fields): Fields {
    if (this.#asking !== undefined) return responseFields(this.#asking, fields);
    if (this.#plan === undefined) return fields;
    return this.#proxy.sessions.begin(this.#plan, this.#stream?.peer, responseFields(this.#plan, fields));
  }

  #retryLater(): void {
    this.#proxy.parts.recorder.retried(this.#service as string);
    // What is kept of the body must stay all of it until it is sent again.
    if (!this.#requestEnded) this.#connection.pauseRequest();
    const { now, random } = this.#proxy.parts;
    const leastMs = this.#plan?.rule.retry?.backoffMs ?? 0;
    this.#retryAtMs = now() + leastMs + backoffMs(this.#tries - 1, random);
  }

  #retry(): void {
    this.#retryAtMs = NEVER;
    // The pauses that a route prescribes are not time that the application has taken.
    if (this.#plan?.rule.retry !== undefined)
      this.#waitUntilMs = this.#proxy.parts.now() + this.#patienceMs();
    try {
      if (this.#plan?.session === undefined) this.#dispatch();
      // The endpoint of the session has failed: the weights decide where the next try goes, and a new one begins there.
      else this.#routeBy(undefined);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends the request with an error: as a response if none has begun, else by breaking it off. */
  #fail(cause: unknown): void {
    if (this.#over) return;
    const error = asWeftError(cause);
    const { parts, caller } = this.#proxy;
    const endpoint = this.#stream?.peer;
    this.#stream?.reset(error.code, error.message);
    parts.failed({
      side: 'outbound',
      error,
      caller,
      service: this.#service,
      method: this.#request.method,
      path: this.#request.path,
      traceId: this.#traceId,
      endpoint,
      tries: this.#tries,
    });
    if (this.#responded) {
      this.#finish(error.code);
      this.#connection.abort();
      return;
    }
    const made = failureOf(error, parts.agent, this.#traceId);
    // A browser shows a script nothing of a response that CORS does not let it read.
    const cors = error.fields ?? (this.#plan ?? this.#asking)?.cors;
    const failure = cors === undefined ? made : { ...made, fields: applyCors(made.fields, cors) };
    this.#status = failure.status;
    this.#finish(error.code);
    sendFailure(this.#connection, this.#request.method, failure);
  }

  #finish(code: string): void {
    this.#over = true;
    const { parts, active } = this.#proxy;
    active.delete(this);
    // An answer may come before the whole request has left: the far side need not wait for the rest.
    this.#stream?.release();
    this.#stream = undefined;
    this.#body = undefined;
    if (!this.#requestEnded) for (const copy of this.#mirrors ?? NO_COPIES) copy.cancel();
    parts.recorder.ended(this.#service ?? '', this.#status, code, parts.now() - this.#startedMs);
  }
}

function unexpected(what: string): WeftError {
  return new WeftError('stream_protocol', `the serving agent sent ${what}`);
}
