import { ERRORS, type WeftError } from '../../protocol/errors.ts';
import type { RequestHead } from '../http1/head.ts';
import type { ServerConnection, ServerExchange, ServerHandler } from '../http1/server-connection.ts';
import { failureOf, sendFailure } from './failure.ts';
import type { OutboundParts } from './proxy.ts';

/** Where what still comes of a refused request goes. */
const IGNORED: ServerExchange = Object.freeze({
  requestData() {},
  requestEnd() {},
  requestAborted() {},
  responseDrained() {},
});

/** What a connection that may not use a door meets there: its first request is answered with the reason, and it closes. */
export class Stranger implements ServerHandler {
  readonly #parts: Pick<OutboundParts, 'agent' | 'recorder' | 'failed'>;
  readonly #reason: WeftError;
  readonly #closed: (connection: ServerConnection) => void;

  constructor(
    parts: Pick<OutboundParts, 'agent' | 'recorder' | 'failed'>,
    reason: WeftError,
    closed: (connection: ServerConnection) => void,
  ) {
    this.#parts = parts;
    this.#reason = reason;
    this.#closed = closed;
  }

  request(connection: ServerConnection, { method, path }: RequestHead): ServerExchange {
    connection.drain();
    this.#refuse(connection, this.#reason, method, path);
    return IGNORED;
  }

  refuse(connection: ServerConnection, error: WeftError): void {
    this.#refuse(connection, error, '', undefined);
  }

  brokenOff(): void {}

  connectRefusal(): WeftError {
    return this.#reason;
  }

  closed(connection: ServerConnection): void {
    this.#closed(connection);
  }

  #refuse(connection: ServerConnection, error: WeftError, method: string, path: string | undefined): void {
    const { agent, recorder, failed } = this.#parts;
    recorder.ended('', ERRORS[error.code].status, error.code, 0);
    const unknown = { caller: undefined, service: undefined, traceId: undefined, endpoint: undefined };
    failed({ side: 'outbound', error, ...unknown, method, path, tries: 0 });
    sendFailure(connection, method, failureOf(error, agent, undefined));
  }
}
