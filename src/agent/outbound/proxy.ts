/**
 * The way of a request out of this host: read it from `OutboundProxy.request` downwards.
 *
 *   app ─▶ door ─▶ who is asked · loop? · fields · trace · head ─▶ pick an endpoint ─▶ stream
 *                          failed before an application saw it ◀─┘        │
 *                                      └─▶ wait, once more ─▶             ▼
 *   app ◀─ response head, body, trailers ◀──────────────────────────── stream
 */
import { asWeftError, ERRORS, WeftError } from '../../protocol/errors.ts';
import { type Fields, fieldsText } from '../../protocol/fields.ts';
import { decodeResponseHead, decodeTrailers, encodeRequestHead } from '../../protocol/head.ts';
import { isIdempotent } from '../../protocol/idempotent.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { serviceParts } from '../../protocol/names.ts';
import type { Tracer } from '../../protocol/trace.ts';
import type { FailedRequest } from '../failure-log.ts';
import type { RequestHead } from '../http1/head.ts';
import type { ServerConnection, ServerExchange, ServerHandler } from '../http1/server-connection.ts';
import type { Stream, StreamHandler } from '../link/stream.ts';
import type { RequestRecorder } from '../metrics.ts';
import { Roster } from '../roster.ts';
import type { Balancer } from './balancer.ts';
import { failureOf, sendFailure } from './failure.ts';
import { requestFields } from './request-fields.ts';
import { backoffMs, type RetryBudget, worthRetrying } from './retry.ts';
import { Router } from './router.ts';

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
  readonly budget: RetryBudget;
  readonly tracer: Tracer;
  readonly recorder: RequestRecorder;
  readonly now: () => number;
  readonly random: () => number;
  readonly failed: (failure: FailedRequest) => void;
}

/** The outbound side of one door: its requests come from the workload `caller`. */
export class OutboundProxy implements ServerHandler {
  readonly parts: OutboundParts;
  readonly caller: string;
  readonly router: Router;
  readonly active = new Roster<OutboundExchange>();
  readonly #closed: (connection: ServerConnection) => void;

  constructor(parts: OutboundParts, caller: string, closed: (connection: ServerConnection) => void) {
    this.parts = parts;
    this.caller = caller;
    this.router = new Router(serviceParts(caller).namespace);
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
    try {
      this.router.serviceOf(authority);
      return undefined;
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
  }
}

const NEVER = Number.POSITIVE_INFINITY;

class OutboundExchange implements ServerExchange, StreamHandler {
  /** In the roster of the requests under way. */
  place = 0;
  readonly #proxy: OutboundProxy;
  readonly #connection: ServerConnection;
  readonly #request: RequestHead;
  readonly #startedMs: number;
  #service: string | undefined;
  #fields: Fields = [];
  #traceId: string | undefined;
  #stream: Stream | undefined;
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
      this.#service = router.serviceOf(this.#request.host);
      const passage = `1.1 weft-${parts.agent} (${this.#service})`;
      this.#fields = requestFields(this.#request, this.#connection.remoteAddress, passage);
      this.#traceId = parts.tracer.continue(this.#fields);
      parts.budget.request();
      this.#dispatch();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Sends the request, or what is known of it, to an endpoint. */
  #dispatch(): void {
    const { parts, caller } = this.#proxy;
    const service = this.#service as string;
    const head = encodeRequestHead({
      method: this.#request.method,
      target: this.#request.path,
      service,
      caller,
      deadlineMs: this.#requestEnded ? this.#waitUntilMs - parts.now() : undefined,
      fields: this.#fields,
    });
    // The endpoint that was picked has just failed; the bus knows better who is there.
    const endpoint =
      this.#tries === 0 ? parts.balancer.pick(service, isIdempotent(this.#request.method)) : undefined;
    this.#tries += 1;
    const bodiless = this.#requestEnded && this.#bodyBytes === 0 && this.#trailers === undefined;
    const stream = parts.open(service, endpoint, head, bodiless, this);
    this.#stream = stream;
    if (bodiless || this.#tries === 1) return;
    for (const chunk of this.#body ?? []) stream.sendData(chunk);
    if (this.#requestEnded) this.#sendEnd();
    else this.#connection.resumeRequest();
  }

  requestData(chunk: Buffer): void {
    if (this.#over) return;
    this.#moved = true;
    if (this.#body !== undefined && !this.#responded) this.#keep(chunk);
    if (this.#stream === undefined || !this.#stream.sendData(chunk)) this.#connection.pauseRequest();
  }

  requestEnd(trailers: Fields | undefined): void {
    if (this.#over) return;
    this.#requestEnded = true;
    this.#trailers = trailers;
    this.#waitUntilMs = this.#proxy.parts.now() + this.#patienceMs();
    this.#sendEnd();
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
    if (this.#over || this.#responded) return;
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
      const upgrading = this.#request.upgrade !== undefined;
      if (this.#responded) throw unexpected('a second response');
      if (status < 200 && !(status === 101 && upgrading && !last)) throw unexpected(`status ${status}`);
      this.#responded = true;
      this.#status = status;
      this.#body = undefined;
      this.#waitUntilMs = this.#proxy.parts.now() + LIMITS.streamIdleMs;
      if (upgrading && status !== 101) this.requestEnd(undefined);
      this.#connection.respond(status, reason, fields, contentLength, last);
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
    else this.#fail(error);
  }

  streamWritable(): void {
    if (!this.#over) this.#connection.resumeRequest();
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#retryAtMs) this.#retry();
    else if (this.#moved) {
      this.#moved = false;
      this.#waitUntilMs = nowMs + this.#patienceMs();
    } else if (nowMs >= this.#waitUntilMs) this.#timeOut();
  }

  /** How long nothing may happen now: until the head once the request is complete, else until any byte. */
  #patienceMs(): number {
    return this.#responded || !this.#requestEnded ? LIMITS.streamIdleMs : LIMITS.responseHeadTimeoutMs;
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
    this.#stream?.sendEnd(this.#trailers === undefined ? '' : fieldsText(this.#trailers));
    if (this.#halfClosed) this.#finish('');
  }

  #keep(chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > LIMITS.retryBodyBytesMax) this.#body = undefined;
    else this.#body?.push(Buffer.from(chunk));
  }

  #mayRetry(error: WeftError): boolean {
    return (
      !this.#responded &&
      this.#body !== undefined &&
      this.#tries <= LIMITS.retriesMax &&
      worthRetrying(error.code) &&
      this.#proxy.parts.budget.retry()
    );
  }

  #retryLater(): void {
    this.#proxy.parts.recorder.retried(this.#service as string);
    // What is kept of the body must stay all of it until it is sent again.
    if (!this.#requestEnded) this.#connection.pauseRequest();
    const { now, random } = this.#proxy.parts;
    this.#retryAtMs = now() + backoffMs(this.#tries - 1, random);
  }

  #retry(): void {
    this.#retryAtMs = NEVER;
    try {
      this.#dispatch();
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
    const failure = failureOf(error, parts.agent, this.#traceId);
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
    parts.recorder.ended(this.#service ?? '', this.#status, code, parts.now() - this.#startedMs);
  }
}

function unexpected(what: string): WeftError {
  return new WeftError('stream_protocol', `the serving agent sent ${what}`);
}
