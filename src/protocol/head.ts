/**
 * Heads of messages inside frames, as readable text: a start line and field lines, no blank line after them.
 * What is decoded comes from another agent, which may be hostile: it is held to the same grammar as a socket,
 * and to one rule more: what frames a message on one hop never travels.
 */
import { isAuthority } from './authority.ts';
import { parseContentLength } from './content-length.ts';
import { WeftError } from './errors.ts';
import { type Fields, fieldsText, parseFields } from './fields.ts';
import { isHopByHop } from './hop-by-hop.ts';
import { LIMITS } from './limits.ts';
import { permittedTrailers } from './trailers.ts';
import { isPassableUpgrade } from './upgrade.ts';

/** Forwarding, tracing, caller and routes are added on the way: a head at the limit of the socket's side must still pass here. */
export const LINES_MAX = LIMITS.headerLinesMax + LIMITS.headerLinesAddedMax;
export const BYTES_MAX = LIMITS.headBytesMax + LIMITS.headBytesAddedMax;

export interface WireRequestHead {
  method: string;
  /** Origin form, or `*` for OPTIONS. */
  target: string;
  /** The service that is asked: `orders.default`. */
  service: string;
  /** The workload that asks: `checkout.default`; undefined if it is anonymous. */
  caller: string | undefined;
  /** Time left for the answer, in milliseconds; undefined if it is not bounded. */
  deadlineMs: number | undefined;
  fields: Fields;
}

export interface WireResponseHead {
  status: number;
  /** May be empty. */
  reason: string;
  fields: Fields;
}

/** What decoding adds: the length that the fields announce, already checked. */
export interface Announced {
  /** Bytes of the body, or undefined if the fields do not say. */
  contentLength: number | undefined;
}

/** `name.namespace` as `isServiceName` has it, to stand in one expression with the rest of the line. */
const SERVICE = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** The target: visible ASCII without `#`; more than RFC 3986 allows, as much as servers take. */
const REQUEST_LINE = new RegExp(
  `[!#$%&'*+\\-.^_\`|~0-9A-Za-z]+ (?:/[!"$-~]*|\\*) ${SERVICE} (?:-|${SERVICE}) (?:-|0|[1-9][0-9]{0,9})\\r\\n`,
  'y',
);
/** `200 OK`; the reason may hold tabs, spaces and 8-bit characters. */
const STATUS_LINE = /[1-5][0-9][0-9] [\t\x20-\x7e\x80-\xff]*\r\n/y;

/** `GET /path orders.default checkout.default 14998 CRLF` and the field lines. */
export function encodeRequestHead(head: WireRequestHead): string {
  const caller = head.caller ?? '-';
  const deadline = head.deadlineMs === undefined ? '-' : Math.max(0, Math.floor(head.deadlineMs));
  return `${head.method} ${head.target} ${head.service} ${caller} ${deadline}\r\n${fieldsText(head.fields)}`;
}

/** The method of a head that `encodeRequestHead` has made. */
export function methodOfHead(text: string): string {
  return text.slice(0, text.indexOf(' '));
}

/** Throws WeftError('stream_protocol'). */
export function decodeRequestHead(text: string): WireRequestHead & Announced {
  if (text.length > BYTES_MAX) throw broken(`the head is over ${BYTES_MAX} bytes`);
  REQUEST_LINE.lastIndex = 0;
  if (!REQUEST_LINE.test(text)) {
    throw broken('request line: expected method, path, service, caller and deadline, with one space between');
  }
  const linesStart = REQUEST_LINE.lastIndex;
  const methodEnd = text.indexOf(' ');
  const targetEnd = text.indexOf(' ', methodEnd + 1);
  const serviceEnd = text.indexOf(' ', targetEnd + 1);
  const callerEnd = text.indexOf(' ', serviceEnd + 1);
  const method = text.slice(0, methodEnd);
  const target = text.slice(methodEnd + 1, targetEnd);
  const caller = text.slice(serviceEnd + 1, callerEnd);
  const deadline = text.slice(callerEnd + 1, linesStart - 2);
  if (target.length > LIMITS.targetBytesMax)
    throw broken(`request line: the target is over ${LIMITS.targetBytesMax} bytes`);
  if (target === '*' && method !== 'OPTIONS') throw broken('request line: the target * is for OPTIONS only');
  const fields = parseFields(text, linesStart, text.length, 'stream_protocol', LINES_MAX);
  return {
    method,
    target,
    service: text.slice(targetEnd + 1, serviceEnd),
    caller: caller === '-' ? undefined : caller,
    deadlineMs: deadline === '-' ? undefined : Number(deadline),
    fields,
    contentLength: checkFields(fields),
  };
}

/** The service that a request head names, while nothing of it has been checked; '' if it names none. */
export function serviceOfHead(text: string): string {
  return text.split(' ', 3)[2] ?? '';
}

/** `200 OK CRLF` and the field lines; also for informational (1xx) heads. */
export function encodeResponseHead(head: WireResponseHead): string {
  return `${head.status} ${head.reason}\r\n${fieldsText(head.fields)}`;
}

/** Also for informational heads: the caller checks that the status fits the frame. Throws WeftError('stream_protocol'). */
export function decodeResponseHead(text: string): WireResponseHead & Announced {
  if (text.length > BYTES_MAX) throw broken(`the head is over ${BYTES_MAX} bytes`);
  STATUS_LINE.lastIndex = 0;
  if (!STATUS_LINE.test(text))
    throw broken('status line: expected a status from 100 to 599, a space and a reason');
  const linesStart = STATUS_LINE.lastIndex;
  const fields = parseFields(text, linesStart, text.length, 'stream_protocol', LINES_MAX);
  const status = Number(text.slice(0, 3));
  const contentLength = checkFields(fields);
  if ((status < 200 || status === 204) && contentLength !== undefined) {
    throw broken(`content-length with status ${status}, which has no body`);
  }
  return { status, reason: text.slice(4, linesStart - 2), fields, contentLength };
}

/** Trailers of an END frame; undefined if there are none that may be passed on. Throws WeftError('stream_protocol'). */
export function decodeTrailers(text: string): Fields | undefined {
  if (text.length === 0) return undefined;
  if (text.length > LIMITS.headBytesMax) throw broken(`trailers are over ${LIMITS.headBytesMax} bytes`);
  return permittedTrailers(parseFields(text, 0, text.length, 'stream_protocol'));
}

/** Refuses fields of one hop and doubled framing or routing; returns the Content-Length. */
function checkFields(fields: Fields): number | undefined {
  let contentLength: number | undefined;
  let host = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    switch (name.length) {
      case 2:
        if (name === 'te' && fields[at + 1] !== 'trailers') throw broken('te says more than trailers');
        break;
      case 4:
        if (name !== 'host') break;
        if (host || !isAuthority(fields[at + 1]!)) throw broken('host is doubled or malformed');
        host = true;
        break;
      case 14:
        if (name !== 'content-length') break;
        if (contentLength !== undefined) throw broken('content-length is doubled');
        contentLength = parseContentLength(fields[at + 1]!);
        if (contentLength < 0) throw broken('content-length is not a decimal number below 2^53');
        break;
      case 7:
        if (name === 'upgrade' && !isPassableUpgrade(fields[at + 1]!))
          throw broken('upgrade to another HTTP');
        break;
      default:
        if (isHopByHop(name)) throw broken(`${name} may not travel`);
    }
  }
  return contentLength;
}

const broken = (details: string): WeftError => new WeftError('stream_protocol', details);
