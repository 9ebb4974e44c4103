/**
 * The way of a request into this host: read it from `InboundProxy.serve` downwards.
 *
 *   stream ─▶ head · is it served here? · who calls, and may it? · time left ─▶ instance ─▶ connection ─▶ application
 *   stream ◀──────────── response head, body, trailers, or a reset with the reason ◀────────────┘
 */
import { asWeftError, WeftError } from '../../protocol/errors.ts';
import { exposureRefusal } from '../../protocol/exposure.ts';
import { type Fields, fieldsText, fieldValue } from '../../protocol/fields.ts';
import { decodeRequestHead, decodeTrailers, encodeResponseHead } from '../../protocol/head.ts';
import { isIdempotent } from '../../protocol/idempotent.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { serviceParts, workloadId } from '../../protocol/names.ts';
import { isForgedForwarding, isReservedField } from '../../protocol/reserved-field.ts';
import type { Snapshot } from '../../protocol/snapshot.ts';
import { traceIdOf } from '../../protocol/trace.ts';
import type { Authorization } from '../authorization.ts';
import type { FailedRequest } from '../failure-log.ts';
import type { ClientConnection, ClientExchange } from '../http1/client-connection.ts';
import { CHUNKED, endToEndFields, type ResponseHead } from '../http1/head.ts';
import type { Claim, Pool } from '../http1/pool.ts';
import { DEAF, type Stream, type StreamHandler } from '../link/stream.ts';
import type { RequestRecorder } from '../metrics.ts';
import { Roster } from '../roster.ts';
import type { Upstream } from './upstream.ts';

export interface InboundParts {
  readonly mesh: string;
  /** Of the workloads that serve, by service. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Of a service that is served here; undefined if nothing is published of it. */
  readonly snapshotOf: (service: string) => Snapshot | undefined;
  readonly authorization: Authorization;
  readonly recorder: RequestRecorder;
  readonly now: () => number;
  /** A fault of our own; everything else is logged by the agent that asked, which is told of it. */
  readonly failed: (failure: FailedRequest) => void;
}

type WireHead = ReturnType<typeof decodeRequestHead>;

export class InboundProxy {
  readonly parts: InboundParts;
  readonly active = new Roster<InboundExchange>();

  constructor(parts: InboundParts) {
    this.parts = parts;
  }

  /** Ends what has waited too long; called every few milliseconds while requests are under way. */
  tick(nowMs: number): void {
    this.active.visit((exchange) => exchange.tick(nowMs));
  }

  /** Takes a stream that an agent has opened, or resets it with the reason. */
  serve(stream: Stream, from: PeerIdentity, text: string, last: boolean): StreamHandler {
    const startedMs = this.parts.now();
    let service = '';
    try {
      const head = decodeRequestHead(text);
      const upstream = this.#upstreamOf(head);
      service = head.service;
      const snapshot = this.parts.snapshotOf(service);
      if (snapshot?.evidence === 'signed') stream.requireEvidence(service);
      checkCaller(head, from);
      this.#authorize(head, snapshot);
      if (head.deadlineMs === 0)
        throw new WeftError('deadline_spent', 'no time was left for the application');
      const exchange = new InboundExchange(this, stream, head, last, upstream, startedMs);
      this.active.add(exchange);
      exchange.start();
      return exchange;
    } catch (error) {
      const { code, message } = this.explained(error, undefined);
      this.parts.recorder.ended(service, 0, code, this.parts.now() - startedMs);
      stream.reset(code, message);
      return DEAF;
    }
  }

  /** What `error` ends a request with; a fault of our own is logged with its cause. */
  explained(error: unknown, head: WireHead | undefined): WeftError {
    const explained = asWeftError(error);
    if (explained.code === 'internal') {
      this.parts.failed({
        side: 'inbound',
        error: explained,
        caller: head?.caller,
        service: head?.service,
        method: head?.method,
        path: head?.target,
        traceId: head && traceIdOf(head.fields),
        endpoint: undefined,
        tries: 1,
      });
    }
    return explained;
  }

  #upstreamOf(head: WireHead): Upstream {
    const upstream = this.parts.upstreams.get(head.service);
    if (upstream === undefined) throw new WeftError('not_serving', `${head.service} is not served here`);
    return upstream;
  }

  /** The decision that counts: an agent that asks may have left it out. `head.caller` has been checked. */
  #authorize(head: WireHead, snapshot: Snapshot | undefined): void {
    const { service, caller } = head;
    if (snapshot?.exposure !== undefined) {
      const namespace = caller === undefined ? undefined : serviceParts(caller).namespace;
      const refusal = exposureRefusal(service, snapshot.exposure, namespace);
      if (refusal !== undefined) throw new WeftError('denied', refusal);
    }
    // The application sees the path that was decided on, and no other.
    head.target = this.parts.authorization.authorize(service, snapshot, head);
  }
}

/** Only the agent of a workload may speak for it. Who has no identity gets what policy grants to anonymous callers. */
function checkCaller(head: WireHead, from: PeerIdentity): void {
  if (head.caller === undefined || from.workloads.has(head.caller)) return;
  throw new WeftError('denied', `the agent ${from.agent} may not speak for ${head.caller}`);
}

class InboundExchange implements StreamHandler, ClientExchange, Claim {
  /** In the roster of the requests under way. */
  place = 0;
  readonly #proxy: InboundProxy;
  readonly #stream: Stream;
  readonly #head: WireHead;
  readonly #upgrade: boolean;
  readonly #upstream: Upstream;
  readonly #startedMs: number;
  #pool: Pool | undefined;
  #instancesTried = 0;
  #connection: ClientConnection | undefined;
  /** Body that came before there was a connection; at most the stream's window. */
  #early: Buffer[] = [];
  #requestEnded: boolean;
  #trailers: Fields | undefined;
  #bodySent = false;
  #informed = 0;
  #renewed = false;
  #responded = false;
  /** After an upgrade: the application sends no more. */
  #halfClosed = false;
  #status = 0;
  #undrained = 0;
  #over = false;
  #moved = false;
  #idleUntilMs: number;

  constructor(
    proxy: InboundProxy,
    stream: Stream,
    head: WireHead,
    last: boolean,
    upstream: Upstream,
    startedMs: number,
  ) {
    this.#proxy = proxy;
    this.#stream = stream;
    this.#head = head;
    this.#requestEnded = last;
    this.#upstream = upstream;
    this.#startedMs = startedMs;
    this.#idleUntilMs = startedMs + LIMITS.streamIdleMs;
    this.#upgrade = fieldValue(head.fields, 'upgrade') !== undefined;
  }

  start(): void {
    const { contentLength = 0 } = this.#head;
    if (contentLength > 0 && this.#requestEnded) {
      this.#fail(new WeftError('stream_protocol', 'a body is announced and none follows'));
    } else if (contentLength > 0 && this.#upgrade) {
      this.#fail(new WeftError('stream_protocol', 'an upgrade with a body'));
    } else this.#claim(this.#upstream.choose());
  }

  #claim(pool: Pool | undefined): void {
    if (pool === undefined) {
      this.#fail(new WeftError('not_serving', `${this.#head.service} has no instance here`));
      return;
    }
    this.#pool = pool;
    this.#instancesTried += 1;
    pool.claim(this);
  }

  granted(connection: ClientConnection): void {
    if (this.#deadlineSpent()) {
      this.#pool?.idle(connection);
      this.#fail(new WeftError('deadline_spent', 'the time was used up waiting for a connection'));
      return;
    }
    this.#connection = connection;
    try {
      connection.send(this, this.#upstreamHead(), this.#head.method, this.#bodyLength());
      for (const chunk of this.#early.splice(0)) this.#write(chunk);
      if (this.#requestEnded && !this.#over) connection.end(this.#trailers);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** No connection to the instance: nothing has been sent, so another one may have the request. */
  refused(error: WeftError): void {
    const other =
      this.#instancesTried < this.#upstream.pools.length ? this.#upstream.choose(this.#pool) : undefined;
    if (other === undefined) this.#fail(error);
    else this.#claim(other);
  }

  /** Ends what has not moved for too long: the agent that asked may be gone without a word. */
  tick(nowMs: number): void {
    if (this.#moved) {
      this.#moved = false;
      this.#idleUntilMs = nowMs + LIMITS.streamIdleMs;
    } else if (nowMs >= this.#idleUntilMs) {
      this.#fail(new WeftError('stream_idle', `nothing was sent for ${LIMITS.streamIdleMs / 1000} s`));
    }
  }

  streamData(chunk: Buffer): void {
    if (this.#over) return;
    this.#moved = true;
    // Copied: a view would keep its whole packet.
    if (this.#connection === undefined) this.#early.push(Buffer.from(chunk));
    else this.#write(chunk);
  }

  streamEnd(trailers: string): void {
    if (this.#over) return;
    this.#requestEnded = true;
    try {
      this.#trailers = decodeTrailers(trailers);
      this.#connection?.end(this.#trailers);
      if (this.#halfClosed) this.#finish('');
    } catch (error) {
      this.#fail(error);
    }
  }

  streamReset(error: WeftError): void {
    if (this.#over) return;
    this.#abandon();
    this.#finish(error.code);
  }

  streamWritable(): void {
    this.#connection?.resumeResponse();
  }

  streamInformational(): void {}

  streamResponse(): void {
    this.#fail(new WeftError('stream_protocol', 'a response head from the side that asked'));
  }

  requestDrained(): void {
    if (this.#undrained === 0) return;
    this.#stream.consumed(this.#undrained);
    this.#undrained = 0;
  }

  responseInformational(head: ResponseHead): void {
    this.#informed += 1;
    if (this.#informed > LIMITS.informationalMax) {
      this.#fail(
        new WeftError('upstream_protocol', `over ${LIMITS.informationalMax} informational responses`),
      );
      return;
    }
    this.#stream.sendInformational(wireHead(head));
  }

  responseHead(head: ResponseHead, last: boolean): void {
    if (head.status === 101 && !this.#upgrade) {
      this.#fail(new WeftError('upstream_protocol', 'the application switched protocols unasked'));
      return;
    }
    this.#responded = true;
    this.#status = head.status;
    this.#stream.sendResponse(wireHead(head), last);
    if (last) this.#finish('');
    // The caller ended before there was a direction to end: left open, it would keep the connection for good.
    else if (head.status === 101 && this.#requestEnded) this.#connection?.end(undefined);
  }

  responseData(chunk: Buffer): void {
    this.#moved = true;
    if (!this.#stream.sendData(chunk)) this.#connection?.pauseResponse();
  }

  responseEnd(trailers: Fields | undefined): void {
    this.#stream.sendEnd(trailers === undefined ? '' : fieldsText(trailers));
    if (this.#status !== 101 || this.#requestEnded) this.#finish('');
    else this.#halfClosed = true;
  }

  responseFailed(error: WeftError, unanswered: boolean): void {
    const stale = unanswered && (this.#connection?.uses ?? 0) > 1;
    this.#connection = undefined;
    if (stale && !this.#renewed && this.#repeatable()) {
      this.#renewed = true;
      this.#pool?.claim(this, true);
    } else this.#fail(error);
  }

  /** True if the application cannot have acted on the request twice, and all of it is still at hand. */
  #repeatable(): boolean {
    return !this.#bodySent && this.#requestEnded && isIdempotent(this.#head.method);
  }

  #write(chunk: Buffer): void {
    this.#bodySent = true;
    try {
      if (this.#connection?.write(chunk)) this.#stream.consumed(chunk.length);
      else this.#undrained += chunk.length;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What the head announces is what the application will wait for, so it decides before everything else. */
  #bodyLength(): number {
    const { contentLength } = this.#head;
    if (contentLength !== undefined) return contentLength;
    const nothing = this.#requestEnded && this.#early.length === 0 && this.#trailers === undefined;
    return this.#upgrade || nothing ? 0 : CHUNKED;
  }

  #upstreamHead(): string {
    const { method, target, caller, fields } = this.#head;
    let text = `${method} ${target} HTTP/1.1\r\n`;
    let connection = '';
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!;
      // The other agent has taken these out already; an agent that has not is not believed.
      if (isReservedField(name) || isForgedForwarding(name)) continue;
      if (name === 'upgrade') connection = 'connection: upgrade\r\n';
      else if (name === 'te') connection ||= 'connection: te\r\n';
      text += `${name}: ${fields[at + 1]}\r\n`;
    }
    if (caller !== undefined) text += `weft-caller: ${workloadId(this.#proxy.parts.mesh, caller)}\r\n`;
    if (this.#bodyLength() === CHUNKED) text += 'transfer-encoding: chunked\r\n';
    return `${text}${connection}\r\n`;
  }

  #deadlineSpent(): boolean {
    const { deadlineMs } = this.#head;
    return deadlineMs !== undefined && this.#proxy.parts.now() - this.#startedMs >= deadlineMs;
  }

  #abandon(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#pool?.withdraw(this);
  }

  #fail(cause: unknown): void {
    if (this.#over) return;
    const { code, message } = this.#proxy.explained(cause, this.#head);
    this.#abandon();
    this.#stream.reset(code, message);
    this.#finish(code);
  }

  #finish(code: string): void {
    this.#over = true;
    this.#early = [];
    const { recorder, now } = this.#proxy.parts;
    this.#proxy.active.delete(this);
    this.#stream.release();
    recorder.ended(this.#head.service, this.#responded ? this.#status : 0, code, now() - this.#startedMs);
  }
}

function wireHead(head: ResponseHead): string {
  return encodeResponseHead({ status: head.status, reason: head.reason, fields: endToEndFields(head) });
}
