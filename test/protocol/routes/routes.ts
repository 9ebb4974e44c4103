/** Pieces of routes, with everything that a test does not name left at its default. */
import type {
  Backend,
  Cors,
  Filter,
  Match,
  RouteSet,
  Rule,
  ValueMatch,
} from '../../../src/protocol/snapshot.ts';

export function backend(service: string, rest: Partial<Backend> = {}): Backend {
  return { service, weight: 1, filters: [], ...rest };
}

export function rule(rest: Partial<Rule> = {}): Rule {
  return {
    route: 'default/routes',
    index: 0,
    filters: [],
    backends: [backend('orders.default')],
    timeouts: {},
    ...rest,
  };
}

export function match(rest: Partial<Match> = {}): Match {
  return { rule: 0, path: { type: 'PathPrefix', value: '/' }, headers: [], query: [], ...rest };
}

export const prefix = (value: string): Match['path'] => ({ type: 'PathPrefix', value });
export const exactly = (value: string): Match['path'] => ({ type: 'Exact', value });
export const pattern = (value: string): Match['path'] => ({ type: 'RegularExpression', value });

export function value(name: string, text: string, type: ValueMatch['type'] = 'Exact'): ValueMatch {
  return { type, name, value: text };
}

/** Rules in the order of their matches, one match each. */
export function routeSet(...entries: readonly (readonly [Partial<Match>, Partial<Rule>])[]): RouteSet {
  return {
    rules: entries.map(([, one], index) => rule({ index, name: `r${index}`, ...one })),
    matches: entries.map(([one], index) => match({ rule: index, ...one })),
  };
}

/** One rule for everything. */
export function oneRule(rest: Partial<Rule>): RouteSet {
  return routeSet([{}, rest]);
}

export function cors(rest: Partial<Cors> = {}): Cors {
  return {
    origins: ['https://shop.example'],
    credentials: false,
    methods: [],
    headers: [],
    expose: [],
    maxAgeSeconds: 5,
    ...rest,
  };
}

export function requestHeaders(
  set: readonly (readonly [string, string])[],
  add: readonly (readonly [string, string])[] = [],
  remove: readonly string[] = [],
): Filter {
  return { type: 'RequestHeaderModifier', modifier: { set, add, remove } };
}

export function responseHeaders(
  set: readonly (readonly [string, string])[],
  add: readonly (readonly [string, string])[] = [],
  remove: readonly string[] = [],
): Filter {
  return { type: 'ResponseHeaderModifier', modifier: { set, add, remove } };
}
