/**
 * One connection to a local instance of an application: sends one request at a time and reads its response.
 *
 * K1  Bytes that arrive while no request is under way end the connection: nobody has asked for them.
 * K2  After an exchange has ended it is never called again; the connection is idle, or closed.
 * K3  A connection is idle again only if both messages are complete and neither side wants to close.
 */
import { connect, type Socket } from 'node:net';
import { asWeftError, WeftError } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { HostPort } from '../address.ts';
import { BodyDecoder } from './body.ts';
import { breakOff } from './break-off.ts';
import { findHeadEnd, parseResponseHead, type ResponseHead } from './head.ts';
import { Outgoing } from './outgoing.ts';

/** One request to the application, as the proxy handles it. */
export interface ClientExchange {
  responseInformational(head: ResponseHead): void;
  /** `last`: no body follows; `responseEnd` is not called. */
  responseHead(head: ResponseHead, last: boolean): void;
  /** The chunk is only lent: it is used again after the call. */
  responseData(chunk: Buffer): void;
  responseEnd(trailers: Fields | undefined): void;
  /** `unanswered`: not a byte of a response has come. */
  responseFailed(error: WeftError, unanswered: boolean): void;
  /** The socket takes more of the request again. */
  requestDrained(): void;
}

/** What owns the connection while no exchange does. */
export interface ConnectionOwner {
  /** Connected (`error` undefined), or failed to within the time. */
  opened(connection: ClientConnection, error: WeftError | undefined): void;
  /** The exchange is over and the connection can take another. */
  idle(connection: ClientConnection): void;
  closed(connection: ClientConnection): void;
}

/** All connections of the process read into the same memory: what is read is used, or copied, at once. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const NOTHING: Buffer = Buffer.alloc(0);

export class ClientConnection {
  /** Requests that have been sent on it. */
  uses = 0;
  /** When it became idle, by the owner's clock. */
  idleSinceMs = 0;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #decoder = new BodyDecoder('upstream_protocol');
  readonly #outgoing: Outgoing;
  #exchange: ClientExchange | undefined;
  #method = '';
  #kept = NOTHING;
  #searchedTo = 0;
  #answered = false;
  #inBody = false;
  #upgraded = false;
  #requestDone = true;
  #responseDone = true;
  #keepAlive = true;
  #paused = false;
  #opening: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(target: HostPort, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#socket = connect({
      host: target.host,
      port: target.port,
      noDelay: true,
      allowHalfOpen: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (bytes: number, buffer: Uint8Array): boolean => {
          this.#onData(buffer as Buffer, bytes);
          return !this.#paused;
        },
      },
    });
    this.#outgoing = new Outgoing(this.#socket);
    this.#opening = setTimeout(() => {
      // Timers come before sockets: after a pause of this process the connection may be there and not yet seen.
      setImmediate(() => {
        if (this.#opening === undefined) return;
        const where = `${target.host}:${target.port}`;
        const within = `${where} did not accept within ${LIMITS.upstreamConnectMs} ms`;
        this.#failedToOpen(new WeftError('upstream_connect_timeout', within));
      });
    }, LIMITS.upstreamConnectMs);
    this.#socket.on('connect', () => {
      clearTimeout(this.#opening);
      this.#opening = undefined;
      owner.opened(this, undefined);
    });
    this.#socket.on('drain', () => this.#exchange?.requestDrained());
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#opening === undefined) return;
      const where = `${target.host}:${target.port}`;
      this.#failedToOpen(new WeftError('upstream_refused', `${where}: ${error.code ?? error.message}`));
    });
    this.#socket.on('close', () => this.#onClose());
  }

  /**
   * Sends a request head (through its blank line). `bodyLength`: bytes that follow, or CHUNKED.
   * `method` decides whether the response has a body.
   */
  send(exchange: ClientExchange, head: string, method: string, bodyLength: number): void {
    this.uses += 1;
    this.#exchange = exchange;
    this.#method = method;
    this.#answered = false;
    this.#inBody = false;
    this.#responseDone = false;
    this.#requestDone = bodyLength === 0;
    this.#keepAlive = true;
    this.#outgoing.head(head, bodyLength);
    if (this.#requestDone) this.#outgoing.flush();
  }

  /** Writes request body bytes, which belong to the connection from now on. False: wait for `requestDrained`. */
  write(chunk: Buffer): boolean {
    this.#outgoing.data(chunk);
    return this.#outgoing.writable;
  }

  /** Ends the request body; after an upgrade, this direction of the bytes. */
  end(trailers: Fields | undefined): void {
    if (this.#requestDone) return;
    this.#outgoing.end(trailers);
    this.#requestDone = true;
    if (this.#upgraded) this.#socket.end();
    this.#settle();
  }

  pauseResponse(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resumeResponse(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Ends the connection and forgets its exchange. */
  destroy(): void {
    const upgraded = this.#exchange !== undefined && this.#upgraded;
    this.#exchange = undefined;
    // After an upgrade a proper end would say that the bytes so far are all.
    if (upgraded) breakOff(this.#socket);
    else this.#socket.destroy();
  }

  #onData(buffer: Buffer, bytes: number): void {
    if (this.#exchange === undefined) return this.destroy();
    if (this.#upgraded) return this.#exchange.responseData(buffer.subarray(0, bytes));
    this.#answered = true;
    try {
      const fresh = buffer.subarray(0, bytes);
      this.#read(this.#kept.length === 0 ? fresh : Buffer.concat([this.#kept, fresh]));
    } catch (error) {
      this.#broken(error);
    }
  }

  #read(bytes: Buffer): void {
    let at = 0;
    this.#kept = NOTHING;
    while (at < bytes.length) {
      const exchange = this.#exchange;
      if (exchange === undefined) return this.destroy();
      if (this.#upgraded) return exchange.responseData(bytes.subarray(at));
      at = this.#inBody ? this.#decoder.push(bytes, at, bytes.length) : this.#readHead(exchange, bytes, at);
      if (!this.#responseDone) continue;
      // More has come than was asked for (K1): the next request must not take it for its response.
      if (at < bytes.length) this.#keepAlive = false;
      return this.#settle();
    }
  }

  /** Returns where the head ends, or the end of `bytes` if it has not arrived in full. */
  #readHead(exchange: ClientExchange, bytes: Buffer, at: number): number {
    const end = findHeadEnd(bytes, at, this.#searchedTo + at, 'upstream_protocol');
    if (end < 0) {
      if (bytes.length - at > LIMITS.headBytesMax) {
        throw new WeftError('upstream_protocol', `the response head is over ${LIMITS.headBytesMax} bytes`);
      }
      // Copied: the memory that it was read into is used again.
      this.#kept = Buffer.from(bytes.subarray(at));
      this.#searchedTo = this.#kept.length;
      return bytes.length;
    }
    this.#searchedTo = 0;
    this.#begin(exchange, parseResponseHead(bytes.toString('latin1', at, end), this.#method));
    return end;
  }

  #begin(exchange: ClientExchange, head: ResponseHead): void {
    if (head.status === 101) {
      this.#upgraded = true;
      this.#keepAlive = false;
      this.#outgoing.raw();
      this.#requestDone = false;
      exchange.responseHead(head, false);
    } else if (head.status < 200) exchange.responseInformational(head);
    else {
      this.#keepAlive = head.keepAlive;
      this.#decoder.start(head.bodyLength, this);
      this.#inBody = !this.#decoder.done;
      this.#responseDone = !this.#inBody;
      exchange.responseHead(head, this.#responseDone);
    }
  }

  bodyData(chunk: Buffer): void {
    this.#exchange?.responseData(chunk);
  }

  bodyEnd(trailers: Fields | undefined): void {
    this.#inBody = false;
    this.#responseDone = true;
    this.#exchange?.responseEnd(trailers);
  }

  /** When the response is complete the exchange is over; the connection is reused if the request is too (K3). */
  #settle(): void {
    if (!this.#responseDone || this.#exchange === undefined) return;
    this.#exchange = undefined;
    if (this.#requestDone && this.#keepAlive && !this.#closed) this.#owner.idle(this);
    else this.#socket.destroy();
  }

  #onEnd(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return this.destroy();
    if (this.#upgraded) {
      exchange.responseEnd(undefined);
      return;
    }
    this.#keepAlive = false;
    if (this.#inBody && this.#decoder.closed()) return this.#settle();
    this.#broken(new WeftError('upstream_closed', this.#whereClosed()));
  }

  #onClose(): void {
    this.#closed = true;
    clearTimeout(this.#opening);
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.responseFailed(new WeftError('upstream_closed', this.#whereClosed()), !this.#answered);
    this.#owner.closed(this);
  }

  #whereClosed(): string {
    if (!this.#answered) return 'the application closed the connection without a response';
    return 'the application closed the connection in the middle of its response';
  }

  #broken(error: unknown): void {
    const exchange = this.#exchange;
    this.destroy();
    exchange?.responseFailed(asWeftError(error), !this.#answered);
  }

  #failedToOpen(error: WeftError): void {
    clearTimeout(this.#opening);
    this.#opening = undefined;
    this.#socket.destroy();
    this.#owner.opened(this, error);
  }
}
