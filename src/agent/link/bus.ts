/**
 * The connection to NATS, reduced to what the link asks of it. It reports every loss and return at once,
 * so that a request never waits for a bus that is away.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { ConnectionOptions, NatsConnection, Subscription } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { LIMITS } from '../../protocol/limits.ts';
import { natsTls } from '../../protocol/nats-tls.ts';

/** `noResponders` is true for the bus's own answer to a message that nobody was there to take. */
export type Deliver = (payload: Uint8Array, subject: string, noResponders: boolean) => void;

/** `status`: of the answer's header, as the services of the bus set it; 0 if it has none. */
export interface Reply {
  readonly payload: Uint8Array;
  readonly status: number;
}

export interface Bus {
  /** False from the moment the connection is known to be lost until it is back. */
  readonly up: boolean;
  /** The server's max_payload in bytes. */
  readonly payloadBytesMax: number;
  publish(subject: string, payload: Uint8Array, reply?: string): void;
  /** Returns what ends the subscription. */
  subscribe(subject: string, queue: string | undefined, deliver: Deliver): () => void;
  /** Asks a service of the bus. Rejects if nobody answers within `timeoutMs`, and at once if nobody is there. */
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Reply>;
  /** Resolves when the server has processed everything sent before. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface BusEvents {
  lost(): void;
  back(): void;
}

/**
 * Dials NATS once; throws the client's error if no server answers. After that the connection keeps itself:
 * it redials for ever, at most a second apart. A dead peer is noticed within two pings (4 s), not minutes.
 */
export async function connectBus(options: ConnectionOptions, events: BusEvents): Promise<Bus> {
  const connection = await connect({
    ...options,
    ...natsTls(options.servers),
    timeout: LIMITS.busDialMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: LIMITS.busRedialMs,
    reconnectJitter: LIMITS.busRedialJitterMs,
    pingInterval: LIMITS.busPingMs,
    maxPingOut: LIMITS.busPingsMax,
    noAsyncTraces: true,
    // Credentials may be on their way to the server still, or be renewed here: keep trying.
    ignoreAuthErrorAbort: true,
  });
  return new NatsBus(connection, events);
}

class NatsBus implements Bus {
  up = true;
  readonly #connection: NatsConnection;

  constructor(connection: NatsConnection, events: BusEvents) {
    this.#connection = connection;
    this.#follow(events);
  }

  get payloadBytesMax(): number {
    return this.#connection.info?.max_payload ?? 1024 * 1024;
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    this.#connection.publish(subject, payload, reply === undefined ? undefined : { reply });
  }

  subscribe(subject: string, queue: string | undefined, deliver: Deliver): () => void {
    const subscription: Subscription = this.#connection.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error !== null) return;
        deliver(message.data, message.subject, message.data.length === 0 && message.headers?.code === 503);
      },
    });
    // What the server has sent already is still delivered.
    return () => void subscription.drain().catch(() => {});
  }

  async request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Reply> {
    const { data, headers } = await this.#connection.request(subject, payload, { timeout: timeoutMs });
    return { payload: data, status: headers?.code ?? 0 };
  }

  flush(): Promise<void> {
    return this.#connection.flush();
  }

  async close(): Promise<void> {
    // The last words leave, but a bus that has gone silent holds nobody up.
    if (this.up) await Promise.race([this.flush().catch(() => {}), wait(LIMITS.busCloseMs)]);
    this.up = false;
    await this.#connection.close();
  }

  /**
   * Ends a connection whose server has stopped reading. The client would first wait for what it has written to leave,
   * which is for ever, and it offers no way to end the socket, so its own is taken.
   */
  #hangUp(): void {
    const { protocol } = this.#connection as { protocol?: { transport?: { socket?: { destroy(): void } } } };
    protocol?.transport?.socket?.destroy();
  }

  async #follow(events: BusEvents): Promise<void> {
    for await (const status of this.#connection.status()) {
      if ((status.type === 'disconnect' || status.type === 'staleConnection') && this.up) {
        this.up = false;
        events.lost();
        if (status.type === 'staleConnection') this.#hangUp();
      } else if (status.type === 'reconnect' && !this.up) {
        this.up = true;
        events.back();
      }
    }
  }
}
