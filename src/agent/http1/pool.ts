/**
 * Connections to one local instance. The connection that was used last is used next, so that the others grow
 * old and leave; none is used after it has been idle for as long as usual servers keep one (the keep-alive race).
 *
 * U1  Never more connections than the limit; beyond it requests wait in order, and the queue is bounded too.
 */
import { WeftError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { HostPort } from '../address.ts';
import { ClientConnection, type ConnectionOwner } from './client-connection.ts';

/** Somebody who wants a connection. */
export interface Claim {
  granted(connection: ClientConnection): void;
  refused(error: WeftError): void;
}

export class Pool implements ConnectionOwner {
  readonly target: HostPort;
  readonly #now: () => number;
  readonly #idle: ClientConnection[] = [];
  readonly #all = new Set<ClientConnection>();
  readonly #opening = new Map<ClientConnection, Claim>();
  readonly #waiting = new Set<Claim>();
  #closed = false;

  constructor(target: HostPort, now: () => number) {
    this.target = target;
    this.#now = now;
  }

  /** Requests that hold a connection or wait for one. */
  get pending(): number {
    return this.#all.size - this.#idle.length + this.#waiting.size;
  }

  get connections(): number {
    return this.#all.size;
  }

  /** Gives `claim` a connection, now or later. `fresh`: not one that may have gone stale. */
  claim(claim: Claim, fresh = false): void {
    const reused = fresh ? undefined : this.#freshestIdle();
    if (reused !== undefined) claim.granted(reused);
    else if (this.#all.size < LIMITS.upstreamConnectionsMax) this.#open(claim);
    else if (this.#waiting.size < LIMITS.upstreamQueueMax) this.#waiting.add(claim);
    else {
      const where = `${this.target.host}:${this.target.port}`;
      claim.refused(
        new WeftError('overloaded', `${LIMITS.upstreamQueueMax} requests wait for ${where} already`),
      );
    }
  }

  /** Takes back a claim that has been neither granted nor refused. */
  withdraw(claim: Claim): void {
    if (this.#waiting.delete(claim)) return;
    for (const [connection, owner] of this.#opening) {
      if (owner !== claim) continue;
      // It will be of use to somebody else when it opens.
      this.#opening.set(connection, NOBODY);
      return;
    }
  }

  /** Closes what has been idle for too long; called every second or so. */
  expire(nowMs: number): void {
    while (this.#idle.length > 0 && nowMs - this.#idle[0]!.idleSinceMs >= LIMITS.upstreamIdleMs) {
      this.#idle.shift()!.destroy();
    }
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  opened(connection: ClientConnection, error: WeftError | undefined): void {
    const claim = this.#opening.get(connection);
    this.#opening.delete(connection);
    if (error === undefined) {
      if (claim === undefined || claim === NOBODY) this.idle(connection);
      else claim.granted(connection);
    } else claim?.refused(error);
  }

  idle(connection: ClientConnection): void {
    if (this.#closed) return connection.destroy();
    for (const claim of this.#waiting) {
      this.#waiting.delete(claim);
      claim.granted(connection);
      return;
    }
    connection.idleSinceMs = this.#now();
    this.#idle.push(connection);
  }

  closed(connection: ClientConnection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    for (const claim of this.#waiting) {
      this.#waiting.delete(claim);
      this.#open(claim);
      return;
    }
  }

  #open(claim: Claim): void {
    const connection = new ClientConnection(this.target, this);
    this.#all.add(connection);
    this.#opening.set(connection, claim);
  }

  #freshestIdle(): ClientConnection | undefined {
    const connection = this.#idle.pop();
    if (connection === undefined) return undefined;
    if (this.#now() - connection.idleSinceMs < LIMITS.upstreamIdleMs) return connection;
    connection.destroy();
    return undefined;
  }
}

const NOBODY: Claim = { granted() {}, refused() {} };
