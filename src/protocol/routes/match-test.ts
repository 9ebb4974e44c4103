/**
 * One match of a rule against one request (HTTPROUTE.md A3), prepared once. The same for who routes and for who
 * explains: what does not fit is named by the part of the match that it is.
 */
import type { Fields } from '../fields.ts';
import { LIMITS } from '../limits.ts';
import type { Match, ValueMatch } from '../snapshot.ts';
import { withoutSlash } from './path-modifier.ts';
import { compilePattern, type Pattern, type PatternWork } from './pattern.ts';
import { PatternError } from './pattern-syntax.ts';

/** What a match looks at. */
export interface MatchedRequest {
  readonly method: string;
  readonly path: string;
  /** Without its question mark; empty if there is none. */
  readonly query: string;
  readonly fields: Fields;
  /** Of the service. */
  readonly port: number;
}

/** The first part of a match that a request does not fit. */
export type Misfit = 'path' | 'port' | 'method' | ValueTest;

export interface ValueTest {
  readonly kind: 'header' | 'query';
  readonly match: ValueMatch;
  readonly fits: Pattern;
}

/** A request as matches see it: what they ask for repeatedly is looked up once. */
export class MatchSubject implements PatternWork {
  readonly request: MatchedRequest;
  /** Of all patterns that it is compared with. */
  stepsLeft: number = LIMITS.patternWorkMax;
  #headers: Map<string, string | undefined> | undefined;
  #params: Map<string, string> | undefined;

  constructor(request: MatchedRequest) {
    this.request = request;
  }

  /** All values of that name, joined (RFC 9110 §5.3). */
  header(name: string): string | undefined {
    this.#headers ??= new Map();
    if (this.#headers.has(name)) return this.#headers.get(name);
    const { fields } = this.request;
    let value: string | undefined;
    for (let at = 0; at < fields.length; at += 2) {
      if (fields[at] !== name) continue;
      value = value === undefined ? fields[at + 1]! : `${value},${fields[at + 1]}`;
    }
    this.#headers.set(name, value);
    return value;
  }

  /** The first value of that name; names and values decoded as forms have them. */
  param(name: string): string | undefined {
    this.#params ??= parseQuery(this.request.query);
    return this.#params.get(name);
  }
}

export class MatchTest {
  readonly match: Match;
  readonly #path: Pattern;
  readonly #values: readonly ValueTest[];

  constructor(match: Match) {
    this.match = match;
    this.#path = pathTest(match.path);
    this.#values = [
      ...match.headers.map((header) => valueTest('header', header)),
      ...match.query.map((param) => valueTest('query', param)),
    ];
  }

  /** Undefined if the request fits. */
  misfit(subject: MatchSubject): Misfit | undefined {
    return this.#path(subject.request.path, subject) ? this.misfitBesidePath(subject) : 'path';
  }

  /** As `misfit`, for who knows already that the path fits. */
  misfitBesidePath(subject: MatchSubject): Misfit | undefined {
    const { match } = this;
    const { port, method } = subject.request;
    if (match.port !== undefined && match.port !== port) return 'port';
    if (match.method !== undefined && match.method !== method) return 'method';
    for (const test of this.#values) {
      const { name } = test.match;
      const value = test.kind === 'header' ? subject.header(name) : subject.param(name);
      if (value === undefined || !test.fits(value, subject)) return test;
    }
    return undefined;
  }
}

/** A prefix fits whole elements, and `/` any path, the `*` of OPTIONS too. */
function pathTest({ type, value }: Match['path']): Pattern {
  if (type === 'Exact') return (path) => path === value;
  if (type === 'RegularExpression') return patternTest(value);
  const prefix = withoutSlash(value);
  return (path) =>
    prefix === '' ||
    (path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/'));
}

function valueTest(kind: ValueTest['kind'], match: ValueMatch): ValueTest {
  const { type, value } = match;
  return { kind, match, fits: type === 'Exact' ? (text) => text === value : patternTest(value) };
}

/** A pattern that is none fits nothing. The controller takes none such, by this very function. */
function patternTest(text: string): Pattern {
  try {
    return compilePattern(text);
  } catch (error) {
    if (error instanceof PatternError) return () => false;
    throw error;
  }
}

function parseQuery(query: string): Map<string, string> {
  const params = new Map<string, string>();
  for (const pair of query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=');
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    if (!params.has(name)) params.set(name, equals < 0 ? '' : decoded(pair.slice(equals + 1)));
  }
  return params;
}

/** Text whose escapes are broken stays as it is. */
function decoded(text: string): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
