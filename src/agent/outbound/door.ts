/**
 * A door: a listener for callers of this host, on loopback or a Unix socket only. Whoever gets in by that of a workload
 * is that workload; who comes by the one of no workload has no identity.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Account, addressText, type ListenAddress, whyNotListening } from '../address.ts';
import { adopt } from '../http1/accepted-socket.ts';
import { ServerConnection, type ServerHandler } from '../http1/server-connection.ts';
import { type OutboundParts, OutboundProxy } from './proxy.ts';
import type { SocketOwners } from './socket-owner.ts';
import { Stranger } from './stranger.ts';
import { createUidGuard, type UidGuard } from './uid-guard.ts';
import { listenOnSocket } from './unix-socket.ts';

export interface DoorParts {
  /** Who comes in by it; undefined: callers without identity. */
  readonly caller: string | undefined;
  readonly address: ListenAddress;
  /** Whose processes may use it, and who tells; undefined: whoever can connect. */
  readonly guard?: { readonly users: readonly Account[]; readonly owners: SocketOwners } | undefined;
}

export class Door {
  readonly proxy: OutboundProxy;
  readonly #parts: OutboundParts;
  readonly #door: DoorParts;
  readonly #server: Server;
  #guard: UidGuard | undefined;
  /** Accepted, and not let in yet. */
  readonly #arriving = new Set<Socket>();
  readonly #connections = new Set<ServerConnection>();
  #closing = false;

  constructor(parts: OutboundParts, door: DoorParts) {
    this.#parts = parts;
    this.#door = door;
    this.proxy = new OutboundProxy(parts, door.caller, this.#closed);
    // Half-open: an application may end its half after the request and still read the response.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
      if (this.#guard === undefined) this.#open(accepted, this.proxy);
      else this.#ask(this.#guard, accepted);
    });
  }

  get connections(): number {
    return this.#connections.size + this.#arriving.size;
  }

  /** Throws an error that names the workload and the address if that cannot be had. */
  async listen(): Promise<void> {
    const { caller, address, guard } = this.#door;
    const whose = caller === undefined ? 'the door for callers without identity' : `the door of ${caller}`;
    const door = `${whose} at ${addressText(address)}`;
    try {
      if (guard !== undefined) this.#guard = createUidGuard(door, guard.users, guard.owners);
      if ('path' in address) await listenOnSocket(this.#server, address);
      else {
        this.#server.listen(address);
        await once(this.#server, 'listening');
      }
    } catch (cause) {
      throw new Error(`${door}: ${whyNotListening(cause)}`, { cause });
    }
    this.#server.on('error', () => {});
  }

  /** Takes no new connection; each one that is open closes after the response that is under way. */
  drain(): void {
    this.#close();
    for (const connection of this.#connections) connection.drain();
  }

  /** Breaks off what is open. */
  stop(): void {
    this.#close();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  expire(nowMs: number): void {
    for (const connection of this.#connections) connection.expire(nowMs);
  }

  #close(): void {
    this.#closing = true;
    this.#server.close();
    for (const socket of this.#arriving) socket.destroy();
  }

  /** Reads nothing of a connection before it is known whose it is. */
  async #ask(guard: UidGuard, accepted: Socket): Promise<void> {
    accepted.on('error', () => {});
    this.#arriving.add(accepted);
    const refusal = await guard.refusal(accepted);
    this.#arriving.delete(accepted);
    if (this.#closing) return;
    this.#open(
      accepted,
      refusal === undefined ? this.proxy : new Stranger(this.#parts, refusal, this.#closed),
    );
  }

  #open(accepted: Socket, handler: ServerHandler): void {
    const socket = adopt(accepted, (bytes) => connection.received(bytes));
    const connection = new ServerConnection(socket, handler, this.#parts.now);
    this.#connections.add(connection);
  }

  readonly #closed = (connection: ServerConnection): void => {
    this.#connections.delete(connection);
  };
}
