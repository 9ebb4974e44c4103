/**
 * The compiled configuration of one service: what the controller makes of all resources that concern it, and
 * what agents route by. Plain data, so that it can be signed, sent and kept on disk.
 */
import type { Revision } from './revision.ts';

export interface Snapshot {
  /** Of this format; a reader refuses another one. */
  readonly version: 1;
  readonly mesh: string;
  /** Canonical: `orders.default`. */
  readonly service: string;
  /** Grows with every change of this service; an agent never goes back. */
  readonly revision: Revision;
  /** Routes of the service's own namespace: for all callers that have no consumer routes. */
  readonly producer: RouteSet;
  /** Routes of other namespaces, by the namespace of the caller: instead of the producer's, never beside them. */
  readonly consumers: Readonly<Record<string, RouteSet>>;
}

/** No rules: nothing is attached, and requests go to the service's own endpoints. */
export interface RouteSet {
  readonly rules: readonly Rule[];
  /** Every match of every rule, in the order of precedence: the first that fits decides (HTTPROUTE.md A2). */
  readonly matches: readonly Match[];
}

export interface Match {
  /** Index in `rules`. */
  readonly rule: number;
  readonly path: { readonly type: PathMatchType; readonly value: string };
  readonly method?: string;
  /** Names in lower case, each once. */
  readonly headers: readonly ValueMatch[];
  /** Names as written, each once. */
  readonly query: readonly ValueMatch[];
  /** Only requests to this port of the service; any if absent. */
  readonly port?: number;
}

export type PathMatchType = 'Exact' | 'PathPrefix' | 'RegularExpression';

export interface ValueMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

export interface Rule {
  /** `namespace/name` of the HTTPRoute. */
  readonly route: string;
  /** Its place in the route, from 0, and its name if it has one. */
  readonly index: number;
  readonly name?: string;
  readonly filters: readonly Filter[];
  /** Never empty, except where a filter answers: a rule without backendRefs names its own service here. */
  readonly backends: readonly Backend[];
  readonly timeouts: Timeouts;
  readonly retry?: Retry;
}

/** In milliseconds; absent: the mesh's default, 0: none. */
export interface Timeouts {
  readonly requestMs?: number;
  readonly backendRequestMs?: number;
}

export interface Retry {
  readonly codes: readonly number[];
  /** Tries after the first. */
  readonly attempts: number;
  /** Least wait between two tries. */
  readonly backoffMs: number;
}

export interface Backend {
  /** `orders.default`; of an invalid one what was written, for messages. */
  readonly service: string;
  readonly weight: number;
  readonly filters: readonly Filter[];
  /** Why its share of the requests is answered with 500: the reason of the ResolvedRefs condition. */
  readonly invalid?: string;
}

export interface HeaderModifier {
  /** Names in lower case. */
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export type PathModifier =
  | { readonly type: 'ReplaceFullPath'; readonly value: string }
  /** `prefix`: the PathPrefix of the rule's only match. */
  | { readonly type: 'ReplacePrefixMatch'; readonly prefix: string; readonly value: string };

export interface Redirect {
  readonly scheme?: string;
  readonly hostname?: string;
  readonly port?: number;
  readonly path?: PathModifier;
  readonly status: number;
}

export interface Rewrite {
  readonly hostname?: string;
  readonly path?: PathModifier;
}

export interface Mirror {
  readonly service: string;
  /** Share of the requests, from 0 to 1. */
  readonly fraction: number;
}

export interface Cors {
  readonly origins: readonly string[];
  readonly credentials: boolean;
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly expose: readonly string[];
  readonly maxAgeSeconds: number;
}

export type Filter =
  | { readonly type: 'RequestHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'ResponseHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'RequestRedirect'; readonly redirect: Redirect }
  | { readonly type: 'URLRewrite'; readonly rewrite: Rewrite }
  | { readonly type: 'RequestMirror'; readonly mirror: Mirror }
  | { readonly type: 'CORS'; readonly cors: Cors }
  /** A filter that nobody here knows: the request gets 500, it is never skipped. */
  | { readonly type: 'Unsupported'; readonly what: string };
