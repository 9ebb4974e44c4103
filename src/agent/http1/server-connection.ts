/**
 * One connection from a local application: reads requests one after the other, gives each to the proxy and
 * writes its response.
 *
 *   head ──▶ body ──▶ responding ──▶ head …          upgraded: bytes both ways after 101
 *              └──── early response ──▶ discarding ──▶ head …
 *
 * C1  Requests that are pipelined wait, unread or as at most one chunk, until the response before is complete.
 * C2  After the exchange has ended it is never called again.
 * C3  A response that cannot be completed ends with its connection, never with a proper end of message.
 */
import type { Socket } from 'node:net';
import { asWeftError, WeftError } from '../../protocol/errors.ts';
import { type Fields, fieldsText } from '../../protocol/fields.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { BodyDecoder } from './body.ts';
import { breakOff } from './break-off.ts';
import { CHUNKED, findHeadEnd, parseRequestHead, type RequestHead, UNTIL_CLOSE } from './head.ts';
import { Outgoing } from './outgoing.ts';

/** One request, as the proxy handles it. */
export interface ServerExchange {
  /** The chunk is only lent: it is used again after the call. */
  requestData(chunk: Buffer): void;
  requestEnd(trailers: Fields | undefined): void;
  /** The application is gone before its response was complete. */
  requestAborted(): void;
  /** The socket takes more of the response again. */
  responseDrained(): void;
}

/** The proxy behind a listener. */
export interface ServerHandler {
  request(connection: ServerConnection, head: RequestHead): ServerExchange;
  /** Answers a request that could not be read, with `respond` and `end`; the connection closes after it. */
  refuse(connection: ServerConnection, error: WeftError): void;
  /** A connection ends because of `error`, and no response can say so. */
  brokenOff(error: WeftError): void;
  /** Says why a CONNECT to `authority` is refused, or undefined to let it speak HTTP to the mesh. */
  connectRefusal(authority: string): WeftError | undefined;
  closed(connection: ServerConnection): void;
}

const HEAD = 0;
const BODY = 1;
const RESPONDING = 2;
const DISCARDING = 3;
const UPGRADED = 4;
const CLOSED = 5;

const NOTHING: Buffer = Buffer.alloc(0);
const CR = 0x0d;

export class ServerConnection {
  /** Of the local application, for x-forwarded-for; undefined on a Unix socket. */
  readonly remoteAddress: string | undefined;
  readonly #socket: Socket;
  readonly #handler: ServerHandler;
  readonly #now: () => number;
  readonly #decoder = new BodyDecoder('bad_request');
  readonly #outgoing: Outgoing;
  #state = HEAD;
  #exchange: ServerExchange | undefined;
  /** Bytes of an unfinished head, or of what comes after the request that is being answered. */
  #kept = NOTHING;
  #searchedTo = 0;
  #reading = false;
  /** What is kept will be read in a moment. */
  #deferred = false;
  /** The application sends no more. */
  #ended = false;
  #tunnelled = false;
  #minor: 0 | 1 = 1;
  #method = '';
  #keepAlive = true;
  /** The application waits for 100 (Continue) before it sends the body, if it sends one at all. */
  #expecting = false;
  #responded = false;
  #draining = false;
  #discardLeft = 0;
  #expiresMs: number;

  constructor(socket: Socket, handler: ServerHandler, now: () => number) {
    this.#socket = socket;
    this.#handler = handler;
    this.#now = now;
    this.remoteAddress = socket.remoteAddress;
    this.#outgoing = new Outgoing(socket);
    this.#expiresMs = now() + LIMITS.downstreamIdleMs;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.received(bytes));
    socket.on('drain', () => this.#exchange?.responseDrained());
    socket.on('end', () => this.#onEnd());
    socket.on('error', () => {});
    socket.on('close', () => this.#onClose());
  }

  /** Takes what has been read, for a socket that has no `data` event. The bytes are only lent. */
  received(bytes: Buffer): void {
    if (this.#state === UPGRADED) this.#exchange?.requestData(bytes);
    else this.#read(this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]));
  }

  /** A 1xx response; not for HTTP/1.0, which does not know them. */
  inform(status: number, reason: string, fields: Fields): void {
    if (this.#responded || this.#minor === 0) return;
    if (status === 100) this.#expecting = false;
    this.#socket.write(`HTTP/1.1 ${status} ${reason}\r\n${fieldsText(fields)}\r\n`, 'latin1');
  }

  /**
   * Writes a response head. `contentLength`: what `fields` announces; `last`: no body follows.
   * After status 101 the connection carries bytes both ways.
   */
  respond(
    status: number,
    reason: string,
    fields: Fields,
    contentLength: number | undefined,
    last: boolean,
  ): void {
    this.#responded = true;
    // From here on writing shows whether anybody still reads.
    this.#expiresMs = 0;
    // Who was never told to continue may send the body or leave it out: what comes next could be either.
    if (this.#draining || (this.#expecting && this.#state === BODY)) this.#keepAlive = false;
    let bodyLength = contentLength ?? 0;
    let framing = '';
    const bodiless = status === 204 || status === 304 || this.#method === 'HEAD';
    if (status === 101) {
      framing = 'connection: upgrade\r\n';
      bodyLength = UNTIL_CLOSE;
    } else if (bodiless) bodyLength = 0;
    else if (contentLength === undefined) {
      if (last) framing = 'content-length: 0\r\n';
      else if (this.#minor === 1) {
        framing = 'transfer-encoding: chunked\r\n';
        bodyLength = CHUNKED;
      } else {
        bodyLength = UNTIL_CLOSE;
        this.#keepAlive = false;
      }
    }
    if (status !== 101) {
      if (!this.#keepAlive) framing += 'connection: close\r\n';
      else if (this.#minor === 0) framing += 'connection: keep-alive\r\n';
    }
    const text = `HTTP/1.1 ${status} ${reason}\r\n${fieldsText(fields)}${framing}\r\n`;
    this.#outgoing.head(text, bodyLength);
    if (status === 101) this.#upgrade();
    else if (last) this.end(undefined);
  }

  /** Writes body bytes, which belong to the connection from now on. False: wait for `responseDrained`. */
  write(chunk: Buffer): boolean {
    this.#outgoing.data(chunk);
    return this.#outgoing.writable;
  }

  /** Ends the response; after an upgrade, this direction of the bytes. */
  end(trailers: Fields | undefined): void {
    this.#outgoing.end(trailers);
    if (this.#state === UPGRADED) {
      this.#socket.end();
      return;
    }
    this.#exchange = undefined;
    if (this.#state === BODY) {
      this.#state = DISCARDING;
      this.#discardLeft = LIMITS.discardBytesMax;
      this.#expiresMs = this.#now() + LIMITS.discardMs;
      this.#socket.resume();
      if (!this.#keepAlive) this.#endSocket();
    } else if (this.#keepAlive) this.#nextRequest();
    else this.#finish();
  }

  /** Breaks off: the application must see that what it has is not all (C3). */
  abort(): void {
    this.#exchange = undefined;
    this.#state = CLOSED;
    breakOff(this.#socket);
  }

  /** Breaks off from outside: the agent stops. */
  destroy(): void {
    const exchange = this.#exchange;
    this.abort();
    exchange?.requestAborted();
  }

  /** Stops reading the request body, until `resumeRequest`. */
  pauseRequest(): void {
    if (this.#state === BODY || this.#state === UPGRADED) this.#socket.pause();
  }

  resumeRequest(): void {
    if (this.#state === BODY || this.#state === UPGRADED) this.#socket.resume();
  }

  /** Closes after the response that is under way, at once if there is none. */
  drain(): void {
    this.#draining = true;
    if (this.#state === HEAD && this.#kept.length === 0) this.#finish();
  }

  /** Ends the connection if it has been silent for longer than it may; called every second or so. */
  expire(nowMs: number): void {
    if (this.#expiresMs === 0 || nowMs < this.#expiresMs) return;
    const exchange = this.#exchange;
    if (this.#state === HEAD && this.#kept.length > 0) {
      this.#refuse(new WeftError('request_timeout', `the request head took over ${LIMITS.headTimeoutMs} ms`));
    } else if (exchange !== undefined) {
      this.abort();
      exchange.requestAborted();
    } else if (this.#socket.writableLength > 0) breakOff(this.#socket);
    else this.#socket.destroy();
  }

  /** Takes bytes until they are used up or have to wait. */
  #read(bytes: Buffer): void {
    let at = 0;
    this.#kept = NOTHING;
    this.#reading = true;
    try {
      while (at < bytes.length) {
        if (this.#state === HEAD) {
          const next = this.#readHead(bytes, at);
          if (next < 0) break;
          at = next;
        } else if (this.#state === BODY || this.#state === DISCARDING) {
          at = this.#readBody(bytes, at);
        } else {
          if (this.#state === RESPONDING) this.#keep(bytes, at);
          break;
        }
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#reading = false;
    }
  }

  /** Returns where the head ends, or -1 if it has not arrived in full. */
  #readHead(bytes: Buffer, from: number): number {
    // One empty line before a request is tolerated: RFC 9112 §2.2.
    const start = bytes[from] === CR && bytes[from + 1] === 0x0a ? from + 2 : from;
    const end = findHeadEnd(bytes, start, this.#searchedTo + from);
    if (end < 0) {
      if (bytes.length - start > LIMITS.headBytesMax) {
        throw new WeftError('head_too_large', `the request head is over ${LIMITS.headBytesMax} bytes`);
      }
      // Copied: the memory that it was read into is used again.
      this.#kept = Buffer.from(from === 0 ? bytes : bytes.subarray(from));
      if (this.#searchedTo === 0) this.#expiresMs = this.#now() + LIMITS.headTimeoutMs;
      this.#searchedTo = this.#kept.length;
      return -1;
    }
    this.#searchedTo = 0;
    this.#expiresMs = 0;
    this.#begin(parseRequestHead(bytes.toString('latin1', start, end)));
    return end;
  }

  #begin(head: RequestHead): void {
    this.#method = head.method;
    this.#minor = head.minor;
    this.#keepAlive = head.keepAlive;
    this.#expecting = head.expectContinue;
    this.#responded = false;
    if (head.method === 'CONNECT') return this.#connect(head);
    this.#decoder.start(head.bodyLength, this);
    this.#state = this.#decoder.done ? RESPONDING : BODY;
    const exchange = this.#handler.request(this, head);
    // A response that was complete at once has moved the state on already.
    if (this.#state === BODY || this.#state === RESPONDING) this.#exchange = exchange;
  }

  /** Clients that are told of a proxy ask for a tunnel; what they say in it is HTTP to a service of the mesh. */
  #connect(head: RequestHead): void {
    const refusal =
      this.#tunnelled || head.bodyLength !== 0
        ? new WeftError('bad_request', this.#tunnelled ? 'CONNECT inside a tunnel' : 'CONNECT with a body')
        : this.#handler.connectRefusal(head.target);
    if (refusal !== undefined) throw refusal;
    this.#tunnelled = true;
    this.#socket.write('HTTP/1.1 200 Connection Established\r\n\r\n', 'latin1');
    this.#expiresMs = this.#now() + LIMITS.downstreamIdleMs;
  }

  #readBody(bytes: Buffer, at: number): number {
    const next = this.#decoder.push(bytes, at, bytes.length);
    if (this.#state === DISCARDING) {
      this.#discardLeft -= next - at;
      if (this.#discardLeft < 0) this.#socket.destroy();
    }
    return next;
  }

  bodyData(chunk: Buffer): void {
    this.#expecting = false;
    this.#exchange?.requestData(chunk);
  }

  bodyEnd(trailers: Fields | undefined): void {
    if (this.#state === BODY) {
      this.#state = RESPONDING;
      this.#exchange?.requestEnd(trailers);
      // It may have been stopped for want of credit; unread, it would not tell that the application has gone.
      if (this.#kept.length === 0 && this.#socket.isPaused()) this.#socket.resume();
    } else if (this.#keepAlive) this.#nextRequest();
    else this.#finish();
  }

  /** Keeps what belongs to a later request and reads no more until then (C1). */
  #keep(bytes: Buffer, from: number): void {
    this.#kept = Buffer.from(bytes.subarray(from));
    this.#socket.pause();
  }

  #nextRequest(): void {
    if (this.#draining) return this.#finish();
    this.#state = HEAD;
    this.#expiresMs = this.#now() + LIMITS.downstreamIdleMs;
    if (this.#kept.length > 0 && !this.#reading) {
      // Not from within the response that has just ended: a long pipeline would deepen the stack.
      this.#deferred = true;
      setImmediate(() => {
        this.#deferred = false;
        if (this.#state !== HEAD) return;
        this.#socket.resume();
        this.#read(this.#kept);
        if (this.#ended) this.#onEnd();
      });
    } else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #upgrade(): void {
    this.#state = UPGRADED;
    this.#outgoing.raw();
    const early = this.#kept;
    this.#kept = NOTHING;
    this.#socket.resume();
    if (early.length > 0) this.#exchange?.requestData(early);
  }

  #failed(error: unknown): void {
    const reason = asWeftError(error);
    // The response is complete: another one would be taken for that of the next request.
    if (this.#state === DISCARDING) {
      this.#handler.brokenOff(reason);
      return this.#finish();
    }
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.requestAborted();
    if (exchange !== undefined && this.#responded) {
      this.#handler.brokenOff(reason);
      this.abort();
    } else this.#refuse(reason);
  }

  #refuse(error: WeftError): void {
    this.#keepAlive = false;
    this.#state = RESPONDING;
    // What was read before on this connection does not say how to answer this.
    this.#method = '';
    this.#kept = NOTHING;
    this.#responded = false;
    this.#handler.refuse(this, error);
  }

  /** Closes after what has been written has left; what still arrives is read and dropped for a moment. */
  #finish(): void {
    this.#state = CLOSED;
    this.#kept = NOTHING;
    this.#socket.resume();
    this.#endSocket();
  }

  /** The time to drop what still arrives begins when the last byte has left: a slow reader gets all of it. */
  #endSocket(): void {
    this.#expiresMs = this.#now() + LIMITS.streamIdleMs;
    this.#socket.end(() => {
      this.#expiresMs = this.#now() + LIMITS.discardMs;
    });
  }

  /** The application sends no more; it may still be reading (half-close). */
  #onEnd(): void {
    this.#ended = true;
    // Requests that came before the end are answered first.
    if (this.#deferred || (this.#state === RESPONDING && this.#kept.length > 0)) return;
    if (this.#state === UPGRADED) this.#exchange?.requestEnd(undefined);
    else if (this.#state === RESPONDING) {
      // Who has asked to close after this response may well wait for it. Anybody else has most likely gone.
      if (this.#keepAlive && !this.#responded) this.#expiresMs = this.#now() + LIMITS.halfClosedMs;
      this.#keepAlive = false;
    } else if (this.#state === BODY) {
      this.#failed(new WeftError('bad_request', 'the connection ended within the request body'));
    } else this.#socket.end();
  }

  #onClose(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#state = CLOSED;
    this.#kept = NOTHING;
    exchange?.requestAborted();
    this.#handler.closed(this);
  }
}
