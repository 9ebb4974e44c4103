/**
 * The outbound side of one door: every request that comes in by it is an exchange, whose way is read in exchange.ts.
 *
 *   app ─▶ door ─▶ OutboundProxy.request ─▶ OutboundExchange.start ─▶ … ─▶ stream
 */
import { splitAuthority } from '../../protocol/authority.ts';
import { ERRORS, type WeftError } from '../../protocol/errors.ts';
import { DEFAULT_NAMESPACE, isServiceName, serviceParts } from '../../protocol/names.ts';
import type { Tracer } from '../../protocol/trace.ts';
import type { Authorization } from '../authorization.ts';
import type { FailedRequest } from '../failure-log.ts';
import type { RequestHead } from '../http1/head.ts';
import type { ServerConnection, ServerExchange, ServerHandler } from '../http1/server-connection.ts';
import type { Stream, StreamHandler } from '../link/stream.ts';
import type { RequestRecorder } from '../metrics.ts';
import { Roster } from '../roster.ts';
import type { Balancer } from './balancer.ts';
import { OutboundExchange } from './exchange.ts';
import { failureOf, sendFailure } from './failure.ts';
import type { MirrorCopy } from './mirror.ts';
import type { RetryBudget } from './retry.ts';
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

/** Its requests come from the workload `caller`, or from whoever it is if there is none. */
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

const HTTPS_PORT = 443;
