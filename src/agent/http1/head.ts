/**
 * Heads of HTTP/1.1 messages as they come from sockets. A proxy's parser: where two readers of a head could
 * come to different messages it refuses, it never repairs (RFC 9112 §11.1, §11.2).
 */
import { isAuthority } from '../../protocol/authority.ts';
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import { type Fields, isToken, parseFields } from '../../protocol/fields.ts';
import { isHopByHop } from '../../protocol/hop-by-hop.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { connectionTokens, passableUpgrade } from './connection-field.ts';
import { CHUNKED, controlLines, framedLength, UNSAID, UNTIL_CLOSE } from './control-lines.ts';
import { parseTarget } from './request-target.ts';

export { CHUNKED, UNTIL_CLOSE };

interface Head {
  /** Of HTTP/1.x. A minor above 1 is treated as 1 (RFC 9110 §2.5). */
  minor: 0 | 1;
  /** All lines as received, names lower-cased. */
  fields: Fields;
  /** Bytes of the body, CHUNKED, or for responses UNTIL_CLOSE. */
  bodyLength: number;
  /** False if the connection ends after this message. */
  keepAlive: boolean;
  /** Value of Upgrade if Connection lists it and it may be passed on; never h2c or TLS. */
  upgrade: string | undefined;
  /** Lower-cased tokens of Connection. */
  connection: string[] | undefined;
  /** True if endToEndFields has something to take out or change. */
  hopByHop: boolean;
}

export interface RequestHead extends Head {
  method: string;
  /** As sent: origin, absolute, authority (CONNECT) or asterisk form. */
  target: string;
  /** The target in origin form, `*` for OPTIONS of a whole server, empty for CONNECT. */
  path: string;
  /** The authority that is asked: the target's if it has one, else Host (RFC 9112 §3.2.2). Empty only in HTTP/1.0. */
  host: string;
  /** The client waits for 100 (Continue). Never for HTTP/1.0 (RFC 9110 §10.1.1). */
  expectContinue: boolean;
}

export interface ResponseHead extends Head {
  status: number;
  reason: string;
}

const CRLFCRLF = Buffer.from('\r\n\r\n', 'latin1');
/** Method, target and version. The target: visible ASCII without `#`; 8-bit bytes are no URI (RFC 3986 §2). */
const REQUEST_LINE = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [!"$-~]+ HTTP\/1\.[0-9]\r\n/y;
/** Many servers leave out the space before an empty reason (RFC 9112 §4 has it); nothing can be misread from that. */
const STATUS_LINE = /HTTP\/1\.[0-9] [1-5][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?\r\n/y;
const VERSION_BYTES = ' HTTP/1.1\r\n'.length;
const ZERO = 0x30;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;

/**
 * Index just after the CR LF CR LF that ends the head that starts at `from`, or -1 if it has not arrived.
 * `searchedTo`: what an earlier call has searched already. An unfinished head that can no longer become valid
 * (bare CR or LF, control characters, TLS on a plain port) is refused at once: WeftError(`fault`).
 */
export function findHeadEnd(
  bytes: Buffer,
  from: number,
  searchedTo: number,
  fault: ErrorCode = 'bad_request',
): number {
  const start = Math.max(from, searchedTo - 3);
  const found = bytes.indexOf(CRLFCRLF, start);
  if (found >= 0) return found + 4;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x20 || byte === TAB) continue;
    const paired =
      byte === CR
        ? at + 1 === bytes.length || bytes[at + 1] === LF
        : byte === LF && at > from && bytes[at - 1] === CR;
    if (!paired) throw new WeftError(fault, 'the head holds a control character, bare CR or bare LF');
  }
  return -1;
}

/**
 * Reads a request head, from its request line through the final CR LF CR LF, as latin1 text. Throws WeftError:
 * bad_request, uri_too_long, head_too_large, expectation_failed, not_implemented, version_not_supported.
 */
export function parseRequestHead(text: string): RequestHead {
  if (text.length > LIMITS.headBytesMax)
    throw new WeftError('head_too_large', `the request head is over ${LIMITS.headBytesMax} bytes`);
  REQUEST_LINE.lastIndex = 0;
  if (!REQUEST_LINE.test(text)) throw badRequestLine(text);
  const linesStart = REQUEST_LINE.lastIndex;
  const methodEnd = text.indexOf(' ');
  const targetEnd = linesStart - VERSION_BYTES;
  if (targetEnd - methodEnd - 1 > LIMITS.targetBytesMax) throw targetTooLong();
  const minor = text.charCodeAt(linesStart - 3) === ZERO ? 0 : 1;
  const method = text.slice(0, methodEnd);
  const target = text.slice(methodEnd + 1, targetEnd);
  const { authority, path } = parseTarget(method, target);

  const fields = parseFields(text, linesStart, endOfLines(text, 'bad_request'));
  const lines = controlLines(fields);
  if (lines.hosts > 1) throw bad('Host is repeated');
  if (lines.hosts === 0 && minor === 1) throw bad('Host is missing');
  if (lines.host !== undefined && !isAuthority(lines.host)) throw bad('Host is not host or host:port');
  const length = framedLength(lines, minor, 'bad_request', 'not_implemented');
  const expectContinue = minor === 1 && lines.expect !== undefined;
  if (expectContinue && lines.expect!.toLowerCase() !== '100-continue') {
    throw new WeftError('expectation_failed', 'Expect is not 100-continue');
  }
  const connection =
    lines.connection === undefined ? undefined : connectionTokens(lines.connection, 'bad_request');
  return {
    minor,
    fields,
    bodyLength: length === UNSAID ? 0 : length,
    keepAlive: persists(minor, connection),
    // With a body it is ignored (RFC 9110 §7.8 lets us): where the body ends, the new protocol could begin early.
    upgrade:
      minor === 1 && (length === UNSAID || length === 0)
        ? passableUpgrade(lines.upgrade, connection)
        : undefined,
    connection,
    hopByHop: lines.hopByHop || authority !== undefined || (minor === 0 && lines.expect !== undefined),
    method,
    target,
    path,
    host: authority ?? lines.host ?? '',
    expectContinue,
  };
}

/**
 * Reads a response head as latin1 text, through its final CR LF CR LF. `requestMethod` decides whether a body
 * follows (RFC 9112 §6.3). An `upgrade` is there for 101, which accepts it, and 426, which demands it.
 * Throws WeftError('upstream_protocol').
 */
export function parseResponseHead(text: string, requestMethod: string): ResponseHead {
  if (text.length > LIMITS.headBytesMax)
    throw wrong(`the response head is over ${LIMITS.headBytesMax} bytes`);
  STATUS_LINE.lastIndex = 0;
  if (!STATUS_LINE.test(text))
    throw wrong('status line: expected HTTP/1.x, a status from 100 to 599 and a reason');
  const linesStart = STATUS_LINE.lastIndex;
  const minor = text.charCodeAt(7) === ZERO ? 0 : 1;
  const status = Number(text.slice(9, 12));
  const fields = parseFields(text, linesStart, endOfLines(text, 'upstream_protocol'), 'upstream_protocol');
  const lines = controlLines(fields);
  const connection =
    lines.connection === undefined ? undefined : connectionTokens(lines.connection, 'upstream_protocol');
  const upgrade = status === 101 || status === 426 ? passableUpgrade(lines.upgrade, connection) : undefined;
  if (status === 101 && upgrade === undefined) throw wrong('101 without a protocol that it switches to');
  let bodyLength = framedLength(lines, minor, 'upstream_protocol', 'upstream_protocol');
  const bodiless = status < 200 || status === 204;
  if (bodiless && bodyLength !== UNSAID && bodyLength !== 0)
    throw wrong(`a body announced for status ${status}`);
  if (bodiless || status === 304 || requestMethod === 'HEAD') bodyLength = 0;
  else if (bodyLength === UNSAID) bodyLength = UNTIL_CLOSE;
  return {
    minor,
    fields,
    bodyLength,
    keepAlive: bodyLength !== UNTIL_CLOSE && persists(minor, connection),
    upgrade,
    connection,
    hopByHop: lines.hopByHop || (bodiless && lines.contentLengths > 0),
    status,
    reason: text.slice(13, Math.max(13, linesStart - 2)),
  };
}

/**
 * The lines that may travel on, in their order: without those of this hop and those that Connection names.
 * `upgrade` stays if `head.upgrade` says so and `te` as `te: trailers`; Host becomes the authority of an
 * absolute-form target; Expect of HTTP/1.0 and Content-Length of a 1xx or 204 go (RFC 9110 §8.6, §10.1.1).
 * Returns `head.fields` itself if nothing is to be changed.
 */
export function endToEndFields(head: RequestHead | ResponseHead): Fields {
  if (!head.hopByHop) return head.fields;
  const { fields, connection } = head;
  const named = connection !== undefined && !(connection.length === 1 && PLAIN_OPTIONS.has(connection[0]!));
  const request = 'method' in head ? head : undefined;
  const status = 'status' in head ? head.status : 200;
  const kept: Fields = [];
  let hosted = request === undefined || request.host === '' || request.method === 'CONNECT';
  let trailersTold = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    let value = fields[at + 1]!;
    if (isHopByHop(name)) {
      if (name === 'upgrade' && head.upgrade !== undefined) kept.push(name, value);
      else if (name === 'te' && !trailersTold && /(?:^|[ \t,])trailers(?:[ \t,]|$)/i.test(value)) {
        kept.push(name, 'trailers');
        trailersTold = true;
      }
      continue;
    }
    if (named && connection.includes(name)) continue;
    if (name === 'host' && request !== undefined) {
      value = request.host;
      hosted = true;
    } else if (name === 'expect' && head.minor === 0) continue;
    else if (name === 'content-length' && (status < 200 || status === 204)) continue;
    kept.push(name, value);
  }
  if (!hosted) kept.unshift('host', request!.host);
  return kept;
}

const PLAIN_OPTIONS: ReadonlySet<string> = new Set(['close', 'keep-alive', 'upgrade']);

/** Says why a request line did not match. */
function badRequestLine(text: string): WeftError {
  const eol = text.indexOf('\r\n');
  const words = text.slice(0, Math.max(eol, 0)).split(' ');
  if (words.length !== 3)
    return bad('request line: expected method, target and version with one space between');
  const [method, target, version] = words as [string, string, string];
  if (!isToken(method)) return bad('request line: the method is not a token');
  if (target.length > LIMITS.targetBytesMax) return targetTooLong();
  if (/^HTTP\/[02-9]\.[0-9]$/.test(version)) {
    return new WeftError('version_not_supported', 'request line: expected HTTP/1.1 or HTTP/1.0');
  }
  if (!/^HTTP\/1\.[0-9]$/.test(version))
    return bad('request line: expected HTTP/1.1 or HTTP/1.0 after the target');
  return bad('request line: the target is empty or holds a character that no URI may hold');
}

/** Index of the blank line. A second one before it is caught as a line without a name. */
function endOfLines(text: string, fault: ErrorCode): number {
  if (!text.endsWith('\r\n\r\n')) throw new WeftError(fault, 'the head does not end in a blank line');
  return text.length - 2;
}

function persists(minor: 0 | 1, connection: string[] | undefined): boolean {
  if (connection === undefined) return minor === 1;
  return !connection.includes('close') && (minor === 1 || connection.includes('keep-alive'));
}

const targetTooLong = (): WeftError =>
  new WeftError('uri_too_long', `the target is over ${LIMITS.targetBytesMax} bytes`);
const bad = (details: string): WeftError => new WeftError('bad_request', details);
const wrong = (details: string): WeftError => new WeftError('upstream_protocol', details);
