/**
 * The rules of one set of routes, found by request. Matches whose path is exact or a prefix are kept by it, so that
 * a request is compared with those only that its path fits: many rules cost what few do. Of those that fit, the
 * first in the order of precedence decides, wherever it is kept (HTTPROUTE.md A2).
 */
import type { RouteSet, Rule } from '../snapshot.ts';
import { type MatchedRequest, MatchSubject, MatchTest } from './match-test.ts';
import { withoutSlash } from './path-modifier.ts';

export interface RouteTable {
  readonly set: RouteSet;
  /** In the order of precedence, each with its rule. */
  readonly tests: readonly RuleTest[];
  /** False if no route is attached to that port of the service, whose requests are then not routed at all. */
  concerns(port: number): boolean;
  /** The one rule that serves the request; undefined if none fits. */
  find(request: MatchedRequest): Rule | undefined;
}

export interface RuleTest {
  readonly rule: Rule;
  readonly test: MatchTest;
}

/** Indices into the tests, growing. */
type Places = number[];

export function createRouteTable(set: RouteSet): RouteTable {
  const tests: RuleTest[] = [];
  const exact = new Map<string, Places>();
  const prefixes = new Map<string, Places>();
  const patterns: Places = [];
  const ports = new Set<number | undefined>();
  for (const match of set.matches) {
    const rule = set.rules[match.rule];
    if (rule === undefined) continue;
    const { path, port } = match;
    if (path.type === 'Exact') placesOf(exact, path.value).push(tests.length);
    else if (path.type === 'PathPrefix') placesOf(prefixes, withoutSlash(path.value)).push(tests.length);
    else patterns.push(tests.length);
    ports.add(port);
    tests.push({ rule, test: new MatchTest(match) });
  }
  /** However long a path is, it is cut only where a prefix can end. */
  const lengths = [...new Set([...prefixes.keys()].map((prefix) => prefix.length))].sort((a, b) => b - a);

  /** The first place before `before` at which the request fits; else `before`. */
  function first(places: Places | undefined, before: number, subject: MatchSubject): number {
    if (places === undefined) return before;
    for (const place of places) {
      if (place >= before) return before;
      if (tests[place]!.test.misfitBesidePath(subject) === undefined) return place;
    }
    return before;
  }

  function firstPattern(before: number, subject: MatchSubject): number {
    for (const place of patterns) {
      if (place >= before) return before;
      if (tests[place]!.test.misfit(subject) === undefined) return place;
    }
    return before;
  }

  return Object.freeze({
    set,
    tests,
    concerns: (port: number) => ports.has(undefined) || ports.has(port),
    find(request: MatchedRequest) {
      const { path } = request;
      const subject = new MatchSubject(request);
      let found = first(exact.get(path), tests.length, subject);
      for (const length of lengths) {
        if (length > path.length) continue;
        const ends = length === 0 || length === path.length || path.charCodeAt(length) === SLASH;
        if (ends) found = first(prefixes.get(path.slice(0, length)), found, subject);
      }
      return tests[firstPattern(found, subject)]?.rule;
    },
  });
}

const SLASH = 0x2f;

function placesOf(index: Map<string, Places>, key: string): Places {
  const places = index.get(key) ?? [];
  index.set(key, places);
  return places;
}
