/**
 * A door: the listener of one workload. Whoever connects to it is that workload, so it listens on loopback or a
 * Unix socket only.
 */
import { once } from 'node:events';
import { lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { addressText, type ListenAddress, whyNotListening } from '../address.ts';
import { adopt } from '../http1/accepted-socket.ts';
import { ServerConnection } from '../http1/server-connection.ts';
import { type OutboundParts, OutboundProxy } from './proxy.ts';

export class Door {
  readonly proxy: OutboundProxy;
  readonly #address: ListenAddress;
  readonly #now: () => number;
  readonly #server: Server;
  readonly #connections = new Set<ServerConnection>();

  constructor(parts: OutboundParts, service: string, address: ListenAddress) {
    this.#address = address;
    this.#now = parts.now;
    this.proxy = new OutboundProxy(parts, service, (connection) => this.#connections.delete(connection));
    // Half-open: an application may end its half after the request and still read the response.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
      const socket = adopt(accepted, (bytes) => connection.received(bytes));
      const connection = new ServerConnection(socket, this.proxy, this.#now);
      this.#connections.add(connection);
    });
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Throws an error that names the workload and the address if that cannot be had. */
  async listen(): Promise<void> {
    try {
      if ('path' in this.#address) await removeStaleSocket(this.#address.path);
      this.#server.listen(this.#address);
      await once(this.#server, 'listening');
    } catch (cause) {
      const door = `the door of ${this.proxy.caller} at ${addressText(this.#address)}`;
      throw new Error(`${door}: ${whyNotListening(cause)}`, { cause });
    }
    this.#server.on('error', () => {});
  }

  /** Takes no new connection; each one that is open closes after the response that is under way. */
  drain(): void {
    this.#server.close();
    for (const connection of this.#connections) connection.drain();
  }

  /** Breaks off what is open. */
  stop(): void {
    this.#server.close();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  expire(nowMs: number): void {
    for (const connection of this.#connections) connection.expire(nowMs);
  }
}

/** A process that was killed leaves its socket file; one that nobody answers at is in the way of nobody. */
async function removeStaleSocket(path: string): Promise<void> {
  const probe = connect(path);
  try {
    await once(probe, 'connect');
  } catch (error) {
    // A file that is no socket refuses too, and is somebody's.
    const refused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
    if (refused && lstatSync(path).isSocket()) unlinkSync(path);
  } finally {
    probe.destroy();
  }
}
