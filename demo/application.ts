import { createServer, type IncomingMessage } from 'node:http';

const BODY_BYTES_MAX = 64 * 1024;

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  /** Who calls, as the mesh says it: a SPIFFE ID, or nothing when the request did not come through the mesh. */
  readonly caller: string | undefined;
  readonly traceparent: string | undefined;
}

/**
 * Serves one instance of a sample application on node:http, as the environment tells: PORT, HOST (default
 * 127.0.0.1) and INSTANCE. It knows nothing of the mesh. Says `listening` on stdout when it does.
 */
export function serveApplication(name: string, reply: (asked: Asked) => Reply | Promise<Reply>): void {
  const instance = process.env.INSTANCE ?? name;
  const server = createServer((incoming, outgoing) => {
    readJson(incoming)
      .then(async (body) => {
        const { pathname: path } = new URL(incoming.url ?? '/', 'http://application');
        const { 'weft-caller': caller, traceparent } = incoming.headers;
        const asked = {
          method: incoming.method ?? 'GET',
          path,
          body,
          caller: first(caller),
          traceparent: first(traceparent),
        };
        return path === '/healthz' ? { status: 200, body: { healthy: true } } : await reply(asked);
      })
      .catch((error: Error) => ({ status: 502, body: { error: error.message } }))
      .then(({ status, body }) => {
        outgoing.writeHead(status, { 'content-type': 'application/json', 'x-instance': instance });
        outgoing.end(`${JSON.stringify(body)}\n`);
      });
  });
  server.on('error', (error) => {
    process.stderr.write(`${instance}: ${error.message}\n`);
    process.exitCode = 1;
  });
  server.listen(Number(process.env.PORT), process.env.HOST ?? '127.0.0.1', () => {
    process.stdout.write('listening\n');
  });
  process.on('SIGTERM', () => process.exit());
}

async function readJson(incoming: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const part of incoming.setEncoding('utf8')) {
    text += part;
    if (text.length > BODY_BYTES_MAX) throw new Error('the body is too large');
  }
  return text === '' ? undefined : JSON.parse(text);
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
