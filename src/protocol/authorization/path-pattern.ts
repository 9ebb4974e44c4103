/**
 * Paths as policies write them: `/admin` is that path, `/admin/*` everything that begins with `/admin/`, and `{id}` stands for
 * exactly one segment that is not empty. A slash at the end makes no difference to a path that is written in full, because
 * it makes none to most applications.
 */
import { normalisePath } from './normal-path.ts';

export interface PathTest {
  fits(path: ComparedPath): boolean;
}

/** A decoded normal path (`NormalPath.text`), taken apart once. */
export class ComparedPath {
  readonly text: string;
  /** Without the slash at its end. */
  readonly bare: string;
  #segments: readonly string[] | undefined;

  constructor(text: string) {
    this.text = text;
    this.bare = withoutEnd(text);
  }

  get segments(): readonly string[] {
    this.#segments ??= this.bare.split('/');
    return this.#segments;
  }
}

const VARIABLE = /^\{[A-Za-z_][A-Za-z0-9_-]*\}$/;

/** What is wrong with a pattern, as what is expected instead; undefined if nothing is. */
export function patternFault(pattern: string): string | undefined {
  const body = pattern.endsWith('*') ? pattern.slice(0, -1) : pattern;
  const segments = body.split('/');
  const last = segments.length - 1;
  if (body.includes('*')) return 'a * at the end only (%2A is one that is meant)';
  for (const [at, segment] of segments.entries()) {
    if (!/[{}]/.test(segment)) continue;
    if (!VARIABLE.test(segment)) return 'braces around a name and a whole segment, like /orders/{id}';
    if (at === last && body !== pattern) return 'a slash between {…} and *';
  }
  const literal = segments.map((segment) => (VARIABLE.test(segment) ? 'x' : segment)).join('/');
  try {
    // A prefix may end within a segment, also after its dots.
    const { text } = normalisePath(`${literal}${body === pattern ? '' : 'x'}`);
    if (text.split('/').length === segments.length) return undefined;
  } catch {
    // Said below.
  }
  return 'a path in its normal form: no //, /./, /../, ;, \\, nor escapes that requests are refused for';
}

/** Whether a path fits any of the patterns. Each must have no `patternFault`; one that has fits nothing. */
export function pathTest(patterns: readonly string[]): PathTest {
  const exact = new Set<string>();
  const prefixes: string[] = [];
  const templates: ((path: ComparedPath) => boolean)[] = [];
  for (const pattern of patterns) {
    if (patternFault(pattern) !== undefined) continue;
    if (pattern.includes('{')) templates.push(template(pattern));
    else if (pattern.endsWith('*')) prefixes.push(decodeURIComponent(pattern.slice(0, -1)));
    else exact.add(withoutEnd(decodeURIComponent(pattern)));
  }
  return Object.freeze({
    fits: (path: ComparedPath) =>
      exact.has(path.bare) ||
      prefixes.some((prefix) => path.text.startsWith(prefix)) ||
      templates.some((fits) => fits(path)),
  });
}

/** Segment by segment; undefined stands for any. After a `*` the last one is where the rest begins. */
function template(pattern: string): (path: ComparedPath) => boolean {
  const open = pattern.endsWith('*');
  const body = open ? pattern.slice(0, -1) : withoutEnd(pattern);
  const wanted = body.split('/').map((one) => (VARIABLE.test(one) ? undefined : decodeURIComponent(one)));
  const start = open ? wanted.pop()! : '';
  const fits = (segments: readonly string[]) =>
    wanted.every((one, at) => (one === undefined ? segments[at] !== '' : segments[at] === one));
  if (!open) return ({ segments }) => segments.length === wanted.length && fits(segments);
  return ({ text, segments }) => {
    if (segments.length > wanted.length) return fits(segments) && segments[wanted.length]!.startsWith(start);
    // `/orders/7/` fits `/orders/{id}/*` as `/orders/` fits `/orders/*`.
    return start === '' && segments.length === wanted.length && text.endsWith('/') && fits(segments);
  };
}

function withoutEnd(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
