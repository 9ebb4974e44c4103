/** The response that stands for an error: what failed and what to look at, for programs and for people. */
import { ERRORS, type ErrorCode, type WeftError } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import { reasonPhrase } from '../http1/reason-phrase.ts';
import type { ServerConnection } from '../http1/server-connection.ts';

export interface Failure {
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
  readonly body: Buffer;
}

/**
 * `Proxy-Status` names this agent, the error type of RFC 9209 §2.3 and our own code in its details; the body is
 * a problem document (RFC 9457) whose type is the code.
 */
export function failureOf(error: WeftError, agent: string, traceId: string | undefined): Failure {
  const entry = ERRORS[error.code];
  const details = `${error.code}: ${error.message}`;
  const problem = {
    type: `urn:weft:error:${error.code}`,
    title: entry.meaning,
    status: entry.status,
    detail: error.message,
    code: error.code,
    retryable: entry.retryable,
    fault: entry.fault,
    agent,
    ...(traceId === undefined ? {} : { traceId }),
  };
  const body = Buffer.from(`${JSON.stringify(problem)}\n`);
  const fields = [
    'proxy-status',
    `weft-${agent}; error=${entry.proxyStatus}; details=${quoted(details)}`,
    'content-type',
    'application/problem+json',
    'content-length',
    String(body.length),
  ];
  if (RETRY_AFTER.has(error.code)) fields.push('retry-after', '1');
  return { status: entry.status, reason: reasonPhrase(entry.status), fields, body };
}

/** Writes the one response to a request with `method`, which is '' if it could not be read. */
export function sendFailure(connection: ServerConnection, method: string, failure: Failure): void {
  const { status, reason, fields, body } = failure;
  connection.respond(status, reason, fields, body.length, false);
  if (method !== 'HEAD') connection.write(body);
  connection.end(undefined);
}

/** Where waiting a moment is likely to help. */
const RETRY_AFTER: ReadonlySet<ErrorCode> = new Set([
  'bus_down',
  'overloaded',
  'no_endpoint',
  'policy_unknown',
  'retry_budget_spent',
]);

/** A string of structured fields (RFC 8941 §3.3.3): printable ASCII, quotes and backslashes escaped. */
function quoted(text: string): string {
  return `"${text
    .slice(0, 512)
    .replace(/[^ -~]/g, '?')
    .replace(/["\\]/g, '\\$&')}"`;
}
