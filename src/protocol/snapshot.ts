/**
 * The compiled configuration of one service: what the controller makes of all resources that concern it, and
 * what agents route by. Plain data, so that it can be signed, sent and kept on disk.
 */
import type { Authorization } from './authorization/authorization.ts';
import type { Exposure } from './exposure.ts';
import type { Revision } from './revision.ts';

export interface Snapshot {
  /** Of this format; a reader refuses another one. */
  readonly version: 1;
  readonly mesh: string;
  /** What it is about. Canonical: `orders.default`; of an alias perhaps a host name, `orders.example.com`. */
  readonly service: string;
  /** Grows with every change of this service; an agent never goes back. */
  readonly revision: Revision;
  /** The change set that it follows from. */
  readonly policy?: Revision;
  /** The same, signed by itself: agents tell it, and it shows a controller whose store was set back. */
  readonly head?: string;
  /**
   * The name is no service but an alias of this one, whose snapshot holds instead; nothing else is said then. That one is
   * never an alias in turn: an agent takes one step and no second.
   */
  readonly aliasOf?: string;
  /** Absent: `mesh`. */
  readonly exposure?: Exposure;
  /** `signed`: both sides sign each packet, and take nothing that is not. Absent: neither does. */
  readonly evidence?: 'signed';
  /** Who may do what. Absent: everybody may do everything. */
  readonly authorization?: Authorization;
  /** Routes of the service's own namespace: for all callers that have no consumer routes. */
  readonly producer: RouteSet;
  /** Routes of other namespaces, by the namespace of the caller: instead of the producer's, never beside them. */
  readonly consumers: Readonly<Record<string, RouteSet>>;
}

/** True for a snapshot that says what would hold without it too: agents need none to know that. */
export function saysNothing(snapshot: Snapshot): boolean {
  return saysDefaults(snapshot) && snapshot.authorization === undefined;
}

/** True for a snapshot that no resource has a part in: it says at most what the mesh's default is. */
export function saysDefaults(snapshot: Snapshot): boolean {
  const { aliasOf, exposure, evidence, authorization, producer, consumers } = snapshot;
  const routed = producer.rules.length > 0 || Object.keys(consumers).length > 0;
  const policies = authorization?.policies ?? [];
  const said = [aliasOf, exposure, evidence].some((one) => one !== undefined);
  return !routed && !said && policies.length === 0;
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
  /** Absent: each request is on its own. */
  readonly session?: Session;
}

/** By what the requests of a session are known, so that they go to one endpoint (GEP-1619). */
export type Session = SessionEnd &
  (
    | {
        readonly type: 'Cookie';
        readonly name: string;
        readonly path: string;
        /** The client is told when the session ends; else it forgets the cookie when it ends itself. */
        readonly permanent: boolean;
      }
    /** `name`: of the header, in lower case. */
    | { readonly type: 'Header'; readonly name: string }
  );

interface SessionEnd {
  /** How long after its begin a session ends, in milliseconds; absent: not by time. */
  readonly absoluteMs?: number;
}

/** How messages call a rule: `default/orders rule 0`. */
export function ruleName({ route, index }: Pick<Rule, 'route' | 'index'>): string {
  return `${route} rule ${index}`;
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

/** A service that is asked by HTTP whether a request may go on (GEP-1494). */
export interface ExternalAuth {
  /** `auth.default`; of an invalid one what was written, for messages. */
  readonly service: string;
  /** Stands before the path in what it is asked for: empty, or with a slash before it and none after it. */
  readonly path: string;
  /** Which lines of the request it gets beside Host and Authorization; in lower case. */
  readonly requestHeaders: readonly string[];
  /** Which lines of its consent the request takes along; in lower case, empty: all. */
  readonly responseHeaders: readonly string[];
  /** How much of a body it gets, of a larger one nothing goes on; 0: it gets none. */
  readonly bodyBytesMax: number;
  /** Why it cannot be asked: the reason of the ResolvedRefs condition. */
  readonly invalid?: string;
}

export type Filter =
  | { readonly type: 'RequestHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'ResponseHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'RequestRedirect'; readonly redirect: Redirect }
  | { readonly type: 'URLRewrite'; readonly rewrite: Rewrite }
  | { readonly type: 'RequestMirror'; readonly mirror: Mirror }
  | { readonly type: 'CORS'; readonly cors: Cors }
  | { readonly type: 'ExternalAuth'; readonly auth: ExternalAuth }
  /** A filter that nobody here knows: the request gets 500, it is never skipped. */
  | { readonly type: 'Unsupported'; readonly what: string };
