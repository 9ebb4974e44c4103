/** The API over HTTP on a loopback address, for people, probes and Prometheus on the same machine. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import type { Verb } from '../../protocol/api.ts';
import { type ApiError, CHANGING_VERBS } from '../../protocol/api-call.ts';
import { CONTROLLER_LIMITS } from '../limits.ts';
import type { Api } from './api.ts';
import { openApi } from './open-api.ts';

export interface HttpApiOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly mesh: string;
  readonly release: string;
  readonly controller: Served;
}

/** The controller whose state and API are served. */
interface Served {
  readonly state: string;
  readonly ready: boolean;
  readonly reason: string | undefined;
  readonly api: Api;
  readonly metrics: {
    readonly registry: { readonly contentType: string; metrics(): Promise<string> };
  };
}

export interface HttpApi {
  readonly port: number;
  /** Serves another controller from now on. */
  serve(controller: Served): void;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly allow?: string;
}

const JSON_TYPE = 'application/json';
const STATUS: Readonly<Record<ApiError['code'], number>> = {
  invalid: 422,
  not_found: 404,
  conflict: 409,
  denied: 403,
  not_leading: 503,
  unavailable: 503,
  internal: 500,
};

const json = (status: number, value: unknown): Answer => ({
  status,
  type: JSON_TYPE,
  body: `${JSON.stringify(value, null, 2)}\n`,
});
const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body });

/** @throws the listening error (EADDRINUSE …) */
export async function listenHttpApi(options: HttpApiOptions): Promise<HttpApi> {
  let { controller } = options;
  const server = createServer((request, response) => {
    answer(request, { ...options, controller }).then(
      (made) => send(request, response, made),
      () => send(request, response, text(500, 'the controller could not say\n')),
    );
  });
  server.maxConnections = CONTROLLER_LIMITS.httpConnectionsMax;
  server.requestTimeout = CONTROLLER_LIMITS.httpRequestMs;
  server.headersTimeout = CONTROLLER_LIMITS.httpRequestMs;
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return Object.freeze({
    port: (server.address() as AddressInfo).port,
    serve(next: Served) {
      controller = next;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  });
}

async function answer(request: IncomingMessage, options: HttpApiOptions): Promise<Answer> {
  if (!isLocalHost(request.headers.host ?? '')) {
    return text(421, 'this endpoint is reached by an IP address or localhost\n');
  }
  const path = (request.url ?? '/').split('?', 1)[0] as string;
  const { controller, mesh, release } = options;
  if (path.startsWith('/api/') && path !== '/api/openapi.json') {
    return apiAnswer(request, path.slice('/api/'.length), controller.api);
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...text(405, 'GET or HEAD\n'), allow: 'GET, HEAD' };
  }
  switch (path) {
    case '/livez':
      return text(200, 'alive\n');
    case '/readyz': {
      const { ready, state, reason } = controller;
      // The process id tells `weft up` its own controller from another that has the address.
      const reasons = reason === undefined ? [] : [reason];
      return json(ready ? 200 : 503, { ready, state, pid: process.pid, reasons });
    }
    case '/metrics': {
      const { registry } = controller.metrics;
      return { status: 200, type: registry.contentType, body: await registry.metrics() };
    }
    case '/api':
    case '/api/openapi.json':
      return json(200, openApi(controller.api.schema, mesh, release));
    default:
      return text(404, '/livez /readyz /metrics /api/openapi.json\n');
  }
}

async function apiAnswer(request: IncomingMessage, name: string, api: Api): Promise<Answer> {
  const verb = api.schema.verbs.find((one) => one === name);
  if (verb === undefined)
    return refused({ code: 'not_found', message: `no verb ${shown(name)}: see /api/openapi.json` });
  const changing = CHANGING_VERBS.has(verb);
  const methods = changing ? ['POST'] : ['GET', 'HEAD', 'POST'];
  if (!methods.includes(request.method ?? '')) {
    return { ...text(405, `${methods.join(' or ')}\n`), allow: methods.join(', ') };
  }
  if (request.method === 'POST') {
    // A page of the web can send neither type elsewhere without asking first, and nobody here answers that.
    const wanted = changing ? 'application/jose' : JSON_TYPE;
    const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
    if (type !== wanted) return text(415, `content-type has to be ${wanted}\n`);
  }
  const body = request.method === 'POST' ? await readBody(request) : '';
  if (body === undefined)
    return text(413, `a body has at most ${CONTROLLER_LIMITS.httpBodyBytesMax} bytes\n`);
  const answered = await api.answer(verb as Verb, body, 'loopback');
  return answered.ok ? json(200, answered) : refused(answered.error);
}

function refused(error: ApiError): Answer {
  return json(STATUS[error.code], { ok: false, error });
}

/** Undefined: it is too long. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > CONTROLLER_LIMITS.httpBodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A page of the web that has its name resolve to 127.0.0.1 still sends its own name (DNS rebinding). */
function isLocalHost(host: string): boolean {
  const name = host.replace(/:[0-9]*$/, '').replace(/^\[(.*)\]$/, '$1');
  return isIP(name) !== 0 || name === 'localhost';
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 40));
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, allow }: Answer,
): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(allow === undefined ? {} : { allow }),
    // What is left of a body that nobody has read is not read any more.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}
