/**
 * Header lines as a flat array [name, value, name, value …]: order and repetition kept, names lower-cased,
 * values byte-exact as latin1 strings. One strict grammar for what comes from sockets and from the bus.
 */
import { type ErrorCode, WeftError } from './errors.ts';
import { LIMITS } from './limits.ts';

export type Fields = string[];

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * As many header lines as are well formed, from lastIndex on: RFC 9112 §5 with no leniency. A value holds
 * tabs, visible ASCII and 8-bit bytes. One pass of the regular-expression engine over the head costs a third of a
 * loop over its bytes; the classes do not overlap with what follows them, so it never backtracks into a line.
 */
const LINES = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*/y;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** True for a token of RFC 9110 §5.6.2, the grammar of methods and field names. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * Reads header lines, each `name: value CRLF`, from `from` up to `to`: no folding, no space before the colon,
 * no control characters, no bare CR or LF. `text` is latin1. Throws WeftError(`fault`), or `head_too_large`
 * instead of `bad_request` if there are too many lines.
 */
export function parseFields(
  text: string,
  from: number,
  to: number = text.length,
  fault: ErrorCode = 'bad_request',
  linesMax: number = LIMITS.headerLinesMax,
): Fields {
  LINES.lastIndex = from;
  LINES.test(text);
  if (LINES.lastIndex !== to) throw badLine(text, LINES.lastIndex, fault);
  // One lower-casing of the whole text costs less than one for each name. It keeps the length: text is latin1.
  const lower = text.toLowerCase();
  const fields: Fields = [];
  let at = from;
  while (at < to) {
    if (fields.length === 2 * linesMax) throw tooManyLines(linesMax, fault);
    const colon = text.indexOf(':', at);
    const eol = text.indexOf('\r', colon);
    fields.push(lower.slice(at, colon), withoutBlanks(text, colon + 1, eol));
    at = eol + 2;
  }
  return fields;
}

/**
 * text[start..end) without optional whitespace around it (RFC 9110 §5.6.3). Not trim(), which takes 8-bit spaces
 * too, nor a regular expression for the end, which takes quadratic time over a long run of blanks.
 */
export function withoutBlanks(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** Value of the first line with this name (lower-case), or undefined. */
export function fieldValue(fields: Fields, name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] === name) return fields[at + 1];
  }
  return undefined;
}

/** The lines but those whose name is one of these. */
export function without(fields: Fields, isOne: (name: string) => boolean): Fields {
  const kept: Fields = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (!isOne(fields[at]!)) kept.push(fields[at]!, fields[at + 1]!);
  }
  return kept;
}

/** The lines as text, `name: value CRLF` each; no blank line after them. */
export function fieldsText(fields: Fields): string {
  let text = '';
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return text;
}

const isBlank = (byte: number): boolean => byte === SPACE || byte === TAB;

function tooManyLines(linesMax: number, fault: ErrorCode): WeftError {
  const code = fault === 'bad_request' ? 'head_too_large' : fault;
  return new WeftError(code, `over ${linesMax} header lines`);
}

/** Says what is wrong with the line at `start` without repeating what stands there: a head holds credentials. */
function badLine(text: string, start: number, fault: ErrorCode): WeftError {
  const bad = (details: string): WeftError =>
    new WeftError(fault, `header line at byte ${start} of the head ${details}`);
  const first = text.charCodeAt(start);
  if (isBlank(first)) return bad('starts with a space: folded lines (obs-fold) are not taken');
  if (first === COLON) return bad('has no name before its colon');
  if (first === CR || first === LF || Number.isNaN(first)) return bad('is empty: the head ends too early');
  const colon = text.indexOf(':', start);
  const end = text.indexOf('\n', start);
  if (colon < 0 || (end >= 0 && end < colon)) return bad('has no colon');
  if (isBlank(text.charCodeAt(colon - 1))) return bad('has a space before its colon');
  if (!isToken(text.slice(start, colon))) return bad('has a character in its name that no name may hold');
  return bad('holds a control character, a bare CR or a bare LF, or does not end in CR LF');
}
