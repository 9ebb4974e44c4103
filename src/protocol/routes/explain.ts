/** Why a request goes where it goes: every match of a service's routes, and what became of it. */
import { WeftError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Match, Rule } from '../snapshot.ts';
import { type MatchedRequest, MatchSubject, type MatchTest, type Misfit } from './match-test.ts';
import type { RouteTable } from './route-table.ts';

export interface Considered {
  readonly rule: Rule;
  /** Place in the order of precedence, from 0. */
  readonly index: number;
  readonly match: Match;
  /** `matches`, or why not: the first part that does not fit, in words. */
  readonly verdict: string;
}

export interface Explanation {
  /** In the order of precedence. */
  readonly considered: readonly Considered[];
  /** The first that matches, which alone serves the request. */
  readonly winner: Considered | undefined;
}

/** By the tests that route requests; `planRequest` with the same table says what the winner does with it. */
export function explainRequest(table: RouteTable, request: MatchedRequest): Explanation {
  const subject = new MatchSubject(request);
  let winner: Considered | undefined;
  const considered = table.tests.map(({ rule, test }, index) => {
    const verdict = verdictOf(test, subject);
    const one: Considered = { rule, index, match: test.match, verdict };
    if (verdict === MATCHES) winner ??= one;
    return one;
  });
  return { considered, winner };
}

const MATCHES = 'matches';

/** Each match for itself: what they cost together, and whether that is too much, `planRequest` says. */
function verdictOf(test: MatchTest, subject: MatchSubject): string {
  subject.stepsLeft = LIMITS.patternWorkMax;
  try {
    const misfit = test.misfit(subject);
    return misfit === undefined ? MATCHES : reason(misfit, test.match, subject);
  } catch (error) {
    if (error instanceof WeftError) return error.message;
    throw error;
  }
}

const WORDS = { Exact: 'exactly', PathPrefix: 'the prefix', RegularExpression: 'the pattern' } as const;

function reason(misfit: Misfit, match: Match, subject: MatchSubject): string {
  const { path, port, method } = subject.request;
  switch (misfit) {
    case 'path':
      return `path ${shown(path)} is not ${WORDS[match.path.type]} ${shown(match.path.value)}`;
    case 'port':
      return `port ${port} is not ${match.port}`;
    case 'method':
      return `method ${method} is not ${match.method}`;
    default: {
      const { name, type, value: wanted } = misfit.match;
      const value = misfit.kind === 'header' ? subject.header(name) : subject.param(name);
      const what = `${misfit.kind} ${name}`;
      if (value === undefined) return `${what} is missing`;
      return `${what} ${shown(value)} is not ${WORDS[type]} ${shown(wanted)}`;
    }
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
