/**
 * The admin endpoint: HTTP for people, probes and Prometheus on the same machine. Served with the engine of the
 * doors; node:http, imported, would load undici and HTTP/2 too: 4 MiB in every agent.
 */
import { once } from 'node:events';
import { createServer, isIP } from 'node:net';
import { ERRORS, WeftError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { addressText, type HostPort, whyNotListening } from './address.ts';
import type { RequestHead } from './http1/head.ts';
import { reasonPhrase } from './http1/reason-phrase.ts';
import { ServerConnection, type ServerExchange, type ServerHandler } from './http1/server-connection.ts';

/** What the admin endpoint asks of an agent. */
export interface AdminSubject {
  readonly state: string;
  readonly ready: boolean;
  /** Why it is not ready, in words. */
  readonly reason: string | undefined;
  /** What is under way: all zero in an idle agent. */
  counts(): Readonly<Record<string, number>>;
  /** The resolved configuration; without secrets. */
  describe(): unknown;
  /** What is held of what the control plane publishes. */
  publications(): unknown;
  /** What it waits for although it serves, in words. */
  waiting(): readonly string[];
  readonly registry: { readonly contentType: string; metrics(): Promise<string> };
}

export interface Admin {
  readonly address: HostPort;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = (status: number, value: unknown): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(value, null, 2)}\n`,
});
const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body });

/**
 * Serves `/livez`, `/readyz`, `/metrics` and `/config` on a loopback address.
 * @throws the listening error (EADDRINUSE …), with the address in its message.
 */
export async function listenAdmin(address: HostPort, subject: AdminSubject): Promise<Admin> {
  const overdue = new Map<ServerConnection, NodeJS.Timeout>();
  const handler: ServerHandler = {
    request: (connection, head) => new AdminExchange(connection, head, subject),
    refuse: (connection, error) =>
      send(connection, '', text(ERRORS[error.code].status, `${error.message}\n`)),
    brokenOff() {},
    connectRefusal: () => new WeftError('bad_request', 'this endpoint is no proxy'),
    closed(connection) {
      clearTimeout(overdue.get(connection));
      overdue.delete(connection);
    },
  };
  // Half-open: who ends its half after the request may still read the response.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new ServerConnection(socket, handler, () => performance.now());
    overdue.set(
      connection,
      setTimeout(() => connection.abort(), LIMITS.adminConnectionMs),
    );
  });
  server.maxConnections = LIMITS.adminConnectionsMax;
  try {
    server.listen(address.port, address.host);
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`admin: cannot listen on ${addressText(address)}: ${whyNotListening(error)}`, {
      cause: error,
    });
  }
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  return Object.freeze({
    address: Object.freeze({ host: address.host, port }),
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const connection of overdue.keys()) connection.abort();
      await closed;
    },
  });
}

/** One request. Its body, if it has one, is read and dropped by the connection. */
class AdminExchange implements ServerExchange {
  #gone = false;

  constructor(connection: ServerConnection, { method, host, path }: RequestHead, subject: AdminSubject) {
    const finish = (made: Answer) => {
      if (!this.#gone) send(connection, method, made);
    };
    answer(method, host, path, subject).then(finish, () => finish(text(500, 'the agent could not say\n')));
  }

  requestData(): void {}
  requestEnd(): void {}
  responseDrained(): void {}

  requestAborted(): void {
    this.#gone = true;
  }
}

async function answer(method: string, host: string, path: string, subject: AdminSubject): Promise<Answer> {
  if (!isLocalHost(host)) return text(421, 'this endpoint is reached by an IP address or localhost\n');
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'GET or HEAD\n');
  const { state, ready, reason } = subject;
  switch (path.split('?', 1)[0]) {
    case '/livez':
      return text(200, 'alive\n');
    case '/readyz':
      return json(ready ? 200 : 503, {
        ready,
        state,
        // Tells `weft up` its own agent from another that has the address.
        pid: process.pid,
        reasons: ready || reason === undefined ? [] : [reason],
        waiting: subject.waiting(),
      });
    case '/metrics':
      return { status: 200, type: subject.registry.contentType, body: await subject.registry.metrics() };
    case '/config':
      return json(200, {
        state,
        config: subject.describe(),
        counts: subject.counts(),
        publications: subject.publications(),
      });
    default:
      return text(404, '/livez /readyz /metrics /config\n');
  }
}

/** A page of the web that has its name resolve to 127.0.0.1 still sends its own name (DNS rebinding). */
function isLocalHost(host: string): boolean {
  const name = host.replace(/:[0-9]*$/, '').replace(/^\[(.*)\]$/, '$1');
  return isIP(name) !== 0 || name === 'localhost';
}

/** Writes the one response of a connection; it closes after that. */
function send(connection: ServerConnection, method: string, { status, type, body }: Answer): void {
  const bytes = Buffer.from(body);
  const fields = ['content-type', type, 'content-length', String(bytes.length)];
  fields.push('cache-control', 'no-store', 'x-content-type-options', 'nosniff');
  if (status === 405) fields.push('allow', 'GET, HEAD');
  connection.drain();
  connection.respond(status, reasonPhrase(status), fields, bytes.length, false);
  if (method !== 'HEAD') connection.write(bytes);
  connection.end(undefined);
}
