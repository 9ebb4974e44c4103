import { request } from 'node:http';

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

export interface Answer {
  readonly status: number;
  /** The instance that answered, by its own word. */
  readonly instance: string;
  readonly text: string;
}

/**
 * Calls a service of the mesh as any program would: plain HTTP to the own door, the service in `Host`.
 * @param door `host:port` of the door
 * @param traceparent continues the trace of the request that is being answered (W3C Trace Context)
 */
export function callThroughDoor(
  door: string,
  { service, method, path, body, traceparent }: Call,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = { host: service };
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (traceparent !== undefined) headers.traceparent = traceparent;
    const outgoing = request(new URL(path, `http://${door}`), { method, headers }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (part: string) => {
        text += part;
        if (text.length > ANSWER_BYTES_MAX) outgoing.destroy(new Error('the answer is too large'));
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        const instance = String(incoming.headers['x-instance'] ?? '-');
        resolve({ status: incoming.statusCode ?? 0, instance, text });
      });
    });
    outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export interface Call {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly traceparent?: string | undefined;
}
