/** The lines of a head that decide about framing, routing and the connection, found in one pass. */
import { parseContentLength } from '../../protocol/content-length.ts';
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import { isHopByHop } from '../../protocol/hop-by-hop.ts';

/** Body length of a message without one; `chunked`; and a response that ends with its connection. RFC 9112 §6.3. */
export const CHUNKED = -1;
export const UNTIL_CLOSE = -2;
/** No framing line at all: what that means depends on the message. */
export const UNSAID = -3;

/** Values of the lines; undefined where there is none. Repeated lines are joined with a comma unless counted. */
export interface ControlLines {
  host: string | undefined;
  hosts: number;
  contentLength: string | undefined;
  contentLengths: number;
  transferEncoding: string | undefined;
  transferEncodings: number;
  connection: string | undefined;
  upgrade: string | undefined;
  expect: string | undefined;
  te: string | undefined;
  /** True if some line must not travel on. */
  hopByHop: boolean;
}

/** Finds the lines. The switch over lengths spares comparisons: most names match none. */
export function controlLines(fields: Fields): ControlLines {
  const lines: ControlLines = {
    host: undefined,
    hosts: 0,
    contentLength: undefined,
    contentLengths: 0,
    transferEncoding: undefined,
    transferEncodings: 0,
    connection: undefined,
    upgrade: undefined,
    expect: undefined,
    te: undefined,
    hopByHop: false,
  };
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    switch (name.length) {
      case 4:
        if (name === 'host') {
          lines.host = fields[at + 1];
          lines.hosts++;
        }
        break;
      case 14:
        if (name === 'content-length') {
          lines.contentLength = fields[at + 1];
          lines.contentLengths++;
        }
        break;
      case 6:
        if (name === 'expect') lines.expect = joined(lines.expect, fields[at + 1]!);
        break;
      case 2:
      case 7:
      case 10:
      case 16:
      case 17:
      case 18:
      case 19:
        if (!isHopByHop(name)) break;
        lines.hopByHop = true;
        if (name === 'connection') lines.connection = joined(lines.connection, fields[at + 1]!);
        else if (name === 'upgrade') lines.upgrade = joined(lines.upgrade, fields[at + 1]!);
        else if (name === 'te') lines.te = joined(lines.te, fields[at + 1]!);
        else if (name === 'transfer-encoding') {
          lines.transferEncoding = fields[at + 1];
          lines.transferEncodings++;
        }
        break;
    }
  }
  return lines;
}

/**
 * Body length from Content-Length and Transfer-Encoding, or UNSAID. Throws WeftError(`fault`) whenever two
 * recipients could read it differently: both present, repeated, malformed, not ending in chunked, or under
 * HTTP/1.0 (RFC 9112 §6.1, §6.3). For a coding before chunked it throws `codingFault`: it is valid, but not carried.
 */
export function framedLength(
  lines: ControlLines,
  minor: 0 | 1,
  fault: ErrorCode,
  codingFault: ErrorCode,
): number {
  if (lines.transferEncodings > 0) {
    if (lines.contentLengths > 0) throw new WeftError(fault, 'both Content-Length and Transfer-Encoding');
    if (minor === 0) throw new WeftError(fault, 'Transfer-Encoding in an HTTP/1.0 message');
    if (lines.transferEncodings > 1) throw new WeftError(fault, 'Transfer-Encoding is repeated');
    const codings = lines.transferEncoding!.toLowerCase();
    if (codings !== 'chunked') {
      if (
        /^[a-z0-9-]+(?:[ \t]*,[ \t]*[a-z0-9-]+)*[ \t]*,[ \t]*chunked$/.test(codings) &&
        !/chunked.*chunked/.test(codings)
      ) {
        throw new WeftError(codingFault, 'a transfer coding other than chunked');
      }
      throw new WeftError(fault, 'Transfer-Encoding is not exactly "chunked"');
    }
    return CHUNKED;
  }
  if (lines.contentLengths === 0) return UNSAID;
  if (lines.contentLengths > 1) throw new WeftError(fault, 'Content-Length is repeated');
  const length = parseContentLength(lines.contentLength!);
  if (length < 0) throw new WeftError(fault, 'Content-Length is not one decimal number below 2^53');
  return length;
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}
