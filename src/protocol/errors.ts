/**
 * The one table of everything that can go wrong with a request. The code appears in the response
 * (`Proxy-Status`, RFC 9209, and a problem body, RFC 9457), in logs, in metric labels and on the wire.
 *
 * `retryable` means: nothing has reached an application, so the request may be sent again whatever its
 * method (RFC 9110 §9.2.2 allows automatic repetition only where repeating cannot act twice).
 */

import type { Fields } from './fields.ts';
import { LIMITS } from './limits.ts';

/** Who has to act on an error: the caller, the mesh, the upstream application, or the bus. */
export type Fault = 'downstream' | 'mesh' | 'upstream' | 'bus';

export interface ErrorEntry {
  /** HTTP status of the response that is made for it. */
  readonly status: number;
  /** `error` parameter of Proxy-Status: RFC 9209 §2.3. */
  readonly proxyStatus: string;
  /** True if no application can have seen the request. */
  readonly retryable: boolean;
  readonly fault: Fault;
  /** One sentence for a person: what it means and what to look at next. */
  readonly meaning: string;
}

const entry = (
  status: number,
  proxyStatus: string,
  retryable: boolean,
  fault: Fault,
  meaning: string,
): ErrorEntry => Object.freeze({ status, proxyStatus, retryable, fault, meaning });

export const ERRORS = Object.freeze({
  bad_request: entry(
    400,
    'http_request_error',
    false,
    'downstream',
    'The request is not valid HTTP/1.1; the details name what is wrong with it.',
  ),
  ambiguous_path: entry(
    400,
    'http_request_error',
    false,
    'downstream',
    'Policy decides by the path, and this one can be read in more than one way; send it in its plain form.',
  ),
  not_a_proxy_target: entry(
    400,
    'http_request_error',
    false,
    'downstream',
    'The authority names no service of the mesh; use orders, orders.shop, orders.shop.svc.cluster.local, orders.mesh or an alias of a Service.',
  ),
  request_timeout: entry(
    408,
    'http_request_error',
    false,
    'downstream',
    'The request did not arrive in full in time.',
  ),
  body_too_large: entry(
    413,
    'http_request_error',
    false,
    'downstream',
    'The request body is larger than the route lets its authorization service see.',
  ),
  uri_too_long: entry(
    414,
    'http_request_error',
    false,
    'downstream',
    `The request target is longer than ${LIMITS.targetBytesMax} bytes.`,
  ),
  expectation_failed: entry(
    417,
    'http_request_error',
    false,
    'downstream',
    'Expect carries something other than 100-continue.',
  ),
  head_too_large: entry(
    431,
    'http_request_error',
    false,
    'downstream',
    `The request head is over ${LIMITS.headBytesMax} bytes or has over ${LIMITS.headerLinesMax} header lines.`,
  ),
  not_implemented: entry(
    501,
    'http_request_error',
    false,
    'downstream',
    'The method or transfer coding is not one that this proxy carries.',
  ),
  version_not_supported: entry(
    505,
    'http_request_error',
    false,
    'downstream',
    'Only HTTP/1.0 and HTTP/1.1 are spoken here.',
  ),
  loop: entry(
    508,
    'proxy_loop_detected',
    false,
    'downstream',
    'The request has passed this agent before; a workload upstream points back at a door.',
  ),
  cancelled: entry(
    499,
    'connection_terminated',
    false,
    'downstream',
    'The caller went away before the response was complete.',
  ),
  no_route: entry(
    404,
    'destination_not_found',
    false,
    'mesh',
    'No route of the service matches the request.',
  ),
  invalid_backend: entry(
    500,
    'destination_not_found',
    false,
    'mesh',
    'The route that matches sends the request to a backend that cannot be used; weft describe says why.',
  ),
  auth_unavailable: entry(
    503,
    'destination_unavailable',
    false,
    'mesh',
    'The authorization service that the route asks first gave no answer; without its consent no request goes on.',
  ),
  unsupported_filter: entry(
    500,
    'proxy_configuration_error',
    false,
    'mesh',
    'The route that matches asks for a filter that this mesh does not have.',
  ),
  match_too_costly: entry(
    500,
    'proxy_configuration_error',
    false,
    'mesh',
    `The regular expressions of the service's routes take over ${LIMITS.patternWorkMax} steps on this request; make them simpler.`,
  ),
  response_head_too_large: entry(
    502,
    'http_response_header_section_size',
    false,
    'mesh',
    'What the route adds makes the response head larger than one may be; have it, or the application, add less.',
  ),
  retries_exhausted: entry(
    503,
    'destination_unavailable',
    false,
    'upstream',
    'The route had the request tried again, and the last try failed to reach the application too.',
  ),
  retry_budget_spent: entry(
    503,
    'destination_unavailable',
    false,
    'upstream',
    'The route would have had the request tried again, but this agent has repeated too many lately; look at why they fail.',
  ),
  not_your_door: entry(
    403,
    'http_request_denied',
    false,
    'downstream',
    'The door is for processes of other users; call by the door of your own workload, or have its uid name you.',
  ),
  denied: entry(403, 'http_request_denied', false, 'mesh', 'Policy does not let this caller do that.'),
  policy_unknown: entry(
    503,
    'destination_unavailable',
    true,
    'mesh',
    'The agent that serves has not heard yet who may call, and is told to let nobody in before; look at its controller.',
  ),
  no_endpoint: entry(
    503,
    'destination_unavailable',
    true,
    'mesh',
    'No agent serves the service now: none is running, healthy and ready.',
  ),
  not_serving: entry(
    503,
    'destination_unavailable',
    true,
    'mesh',
    'The agent that was asked does not serve the service, or is draining.',
  ),
  overloaded: entry(
    503,
    'connection_limit_reached',
    true,
    'mesh',
    'A limit on concurrent requests has been reached; try again later.',
  ),
  not_accepted: entry(
    503,
    'connection_timeout',
    false,
    'mesh',
    'No agent has acknowledged the request in time; it may have been lost on the bus, or its agent may hang.',
  ),
  deadline: entry(
    504,
    'http_response_timeout',
    false,
    'upstream',
    'The response did not start within the time allowed.',
  ),
  deadline_spent: entry(
    504,
    'http_response_timeout',
    true,
    'mesh',
    'The time allowed was used up before the application was called.',
  ),
  identity_invalid: entry(
    503,
    'proxy_configuration_error',
    true,
    'mesh',
    'The identity of the agent has expired or was revoked, so it neither calls nor serves; the details say what to do.',
  ),
  evidence_missing: entry(
    503,
    'destination_unavailable',
    true,
    'mesh',
    'The service takes only signed packets, and the agent that asked did not know that yet; see evidence in its TrafficPolicy.',
  ),
  stream_idle: entry(
    504,
    'connection_timeout',
    false,
    'upstream',
    'Neither side has sent anything for longer than the idle limit.',
  ),
  stream_lost: entry(502, 'connection_terminated', false, 'bus', 'Part of the message was lost on the bus.'),
  stream_protocol: entry(
    502,
    'proxy_internal_response',
    false,
    'mesh',
    'The agent on the other side broke the rules of the stream.',
  ),
  bus_down: entry(
    503,
    'destination_unavailable',
    true,
    'bus',
    'This agent has no connection to NATS; it reconnects by itself.',
  ),
  bus_lost: entry(
    502,
    'connection_terminated',
    false,
    'bus',
    'The connection to NATS broke while the request was under way.',
  ),
  agent_lost: entry(
    502,
    'connection_terminated',
    false,
    'mesh',
    'The agent that had the request is gone; the application may have acted on it.',
  ),
  upstream_refused: entry(
    503,
    'connection_refused',
    true,
    'upstream',
    'The application does not accept connections at its upstream address.',
  ),
  upstream_connect_timeout: entry(
    503,
    'connection_timeout',
    true,
    'upstream',
    'The application did not accept a connection in time.',
  ),
  upstream_closed: entry(
    502,
    'connection_terminated',
    false,
    'upstream',
    'The application closed the connection before its response was complete.',
  ),
  upstream_protocol: entry(
    502,
    'http_protocol_error',
    false,
    'upstream',
    'The application answered with something that is not valid HTTP/1.1; the details name it.',
  ),
  internal: entry(
    500,
    'proxy_internal_error',
    false,
    'mesh',
    'A fault in the agent itself; please report it with the log line of the same time.',
  ),
} satisfies Record<string, ErrorEntry>);

export type ErrorCode = keyof typeof ERRORS;

/** True for strings that are a code of the table: codes also arrive from the bus. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** The one error class of the mesh. `message` says what, where and what was expected; it never holds a secret. */
export class WeftError extends Error {
  readonly code: ErrorCode;
  /** Header lines that the response made for it carries too. */
  readonly fields: Fields | undefined;

  constructor(
    code: ErrorCode,
    details: string,
    options: ErrorOptions & { fields?: Fields | undefined } = {},
  ) {
    super(details, options);
    this.name = 'WeftError';
    this.code = code;
    this.fields = options.fields;
  }
}

/** Whatever was thrown, as the error that a request ends with: what is not one of the table is `internal`. */
export function asWeftError(error: unknown): WeftError {
  return error instanceof WeftError
    ? error
    : new WeftError('internal', 'an unexpected fault', { cause: error });
}
