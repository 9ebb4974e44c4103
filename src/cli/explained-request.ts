/**
 * What the mesh would do with a request, and why: found with the functions by which an agent does it. Pure.
 */
import { parseRequestHead } from '../agent/http1/head.ts';
import { requestFields } from '../agent/outbound/request-fields.ts';
import { Router } from '../agent/outbound/router.ts';
import { splitAuthority } from '../protocol/authority.ts';
import type { EndpointList } from '../protocol/endpoint-list.ts';
import { asWeftError, ERRORS, type ErrorCode } from '../protocol/errors.ts';
import { exposureRefusal } from '../protocol/exposure.ts';
import type { Fields } from '../protocol/fields.ts';
import { explainRequest } from '../protocol/routes/explain.ts';
import { matchedRequest, planRequest, type RoutedRequest } from '../protocol/routes/plan.ts';
import { createRouteTable, type RouteTable } from '../protocol/routes/route-table.ts';
import type { Backend, Match, Rule, Snapshot } from '../protocol/snapshot.ts';
import { type ExplainedAuthorization, explainAuthorization } from './explained-authorization.ts';

/** A request as an application gives it to the door of its agent. */
export interface AskedRequest {
  /** What the authority names: `orders.default`, or a host name that is an alias or nothing. */
  readonly name: string;
  readonly authority: string;
  readonly routed: RoutedRequest;
}

export interface ConsideredRule {
  /** `namespace/name` of the route, and the place of the rule in it. */
  readonly route: string;
  readonly rule: number;
  readonly match: Match;
  /** `matches`, or why not. */
  readonly verdict: string;
}

/** What becomes of the requests that one backend gets. */
export type Outcome =
  | {
      readonly kind: 'forwarded';
      readonly target: string;
      readonly fields: Fields;
      readonly mirrors: readonly string[];
    }
  | { readonly kind: 'answered'; readonly status: number; readonly fields: Fields }
  | Refused;

export interface Refused {
  readonly kind: 'refused';
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface ExplainedBackend extends Backend {
  /** Of the requests, from 0 to 1. */
  readonly share: number;
  readonly outcome: Outcome | undefined;
  /** What its policies say; absent if it has none, or it is not said who asks. */
  readonly authorization?: ExplainedAuthorization;
}

export interface ExplainedRequest {
  /** Whose routes decide: the service's own, those of the caller's namespace, or none. */
  readonly routes: 'producer' | 'consumer' | 'none';
  readonly considered: readonly ConsideredRule[];
  readonly rule: Rule | undefined;
  /** What ends it before any backend: the caller may not reach the service, no rule fits, or a filter answers. */
  readonly ended: Outcome | undefined;
  readonly backends: readonly ExplainedBackend[];
}

/**
 * Reads a request by the parser of the doors.
 * @param url `http://orders/v1/x`, the scheme may be left out
 * @param headers lines like `x-tester: yes`
 * @throws WeftError as a door refuses it
 */
export function readAskedRequest(
  method: string,
  url: string,
  headers: readonly string[],
  namespace: string,
): AskedRequest {
  const target = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(url) ? url : `http://${url}`;
  const authority = /^http:\/\/([^/?]*)/i.exec(target)?.[1] ?? '';
  const hosted = headers.some((line) => /^host:/i.test(line)) ? '' : `host: ${authority}\r\n`;
  const lines = headers.map((line) => `${line}\r\n`).join('');
  const head = parseRequestHead(`${method} ${target} HTTP/1.1\r\n${hosted}${lines}\r\n`);
  const name = new Router(namespace).nameOf(head.host);
  const fields = requestFields(head, '127.0.0.1', `1.1 weft (${name})`);
  const routed = { method, target: head.path, ...splitAuthority(head.host), fields };
  return { name, authority: head.host, routed };
}

/**
 * @param service which is behind the name that was asked for
 * @param snapshot of that service
 * @param namespace of the caller
 */
export function explain(
  service: string,
  { routed }: AskedRequest,
  snapshot: Snapshot | undefined,
  namespace: string,
): ExplainedRequest {
  const routes = explainRoutes(service, routed, snapshot, namespace);
  const refused = refusedBy(service, snapshot, namespace);
  return refused === undefined ? routes : { ...routes, rule: undefined, ended: refused, backends: [] };
}

/** A backend as its agents take a request to it. @param snapshot of the backend */
export function admitted(
  backend: ExplainedBackend,
  snapshot: Snapshot | undefined,
  namespace: string,
): ExplainedBackend {
  const refused = refusedBy(backend.service, snapshot, namespace);
  return refused === undefined ? backend : { ...backend, outcome: refused };
}

/** The same, by its policies. @param caller undefined: who asks is not said, and nothing is decided */
export function authorized(
  backend: ExplainedBackend,
  mesh: string,
  snapshot: Snapshot | undefined,
  method: string,
  caller: string | undefined,
): ExplainedBackend {
  const { outcome } = backend;
  if (outcome?.kind !== 'forwarded' || snapshot?.authorization === undefined || caller === undefined)
    return backend;
  const request = { caller, method, target: outcome.target, fields: outcome.fields };
  const authorization = explainAuthorization(mesh, snapshot, request);
  const { refusal, target } = authorization;
  return refusal === undefined
    ? { ...backend, authorization, outcome: { ...outcome, target } }
    : {
        ...backend,
        authorization,
        outcome: { kind: 'refused', status: ERRORS[refusal.code].status, ...refusal },
      };
}

function refusedBy(service: string, snapshot: Snapshot | undefined, namespace: string): Refused | undefined {
  const message = exposureRefusal(service, snapshot?.exposure, namespace);
  if (message === undefined) return undefined;
  return { kind: 'refused', status: ERRORS.denied.status, code: 'denied', message };
}

function explainRoutes(
  service: string,
  routed: RoutedRequest,
  snapshot: Snapshot | undefined,
  namespace: string,
): ExplainedRequest {
  const consumer = snapshot?.consumers[namespace];
  const set = consumer !== undefined && consumer.rules.length > 0 ? consumer : snapshot?.producer;
  const table = set === undefined || set.rules.length === 0 ? undefined : createRouteTable(set);
  const own: ExplainedBackend = {
    service,
    weight: 1,
    filters: [],
    share: 1,
    outcome: { kind: 'forwarded', target: routed.target, fields: routed.fields, mirrors: [] },
  };
  if (table === undefined) {
    return { routes: 'none', considered: [], rule: undefined, ended: undefined, backends: [own] };
  }
  const { considered, winner } = explainRequest(table, matchedRequest(routed));
  const told = {
    routes: set === consumer ? ('consumer' as const) : ('producer' as const),
    considered: considered.map(({ rule, match, verdict }) => ({
      route: rule.route,
      rule: rule.index,
      match,
      verdict,
    })),
  };
  if (!table.concerns(routed.port)) return { ...told, rule: undefined, ended: undefined, backends: [own] };
  const rule = winner?.rule;
  const backends = rule?.backends ?? [];
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  if (rule === undefined || total === 0) {
    return {
      ...told,
      rule,
      ended: outcomeOf(table, routed, () => 0),
      backends: shared(backends, () => undefined),
    };
  }
  return {
    ...told,
    rule,
    ended: undefined,
    backends: shared(backends, (at) => outcomeOf(table, routed, drawing(rule, at))),
  };
}

/** Each with its share, and with its outcome if it has any. */
function shared(
  backends: readonly Backend[],
  outcome: (at: number) => Outcome | undefined,
): ExplainedBackend[] {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  return backends.map((backend, at) => ({
    ...backend,
    share: total === 0 ? 0 : backend.weight / total,
    outcome: backend.weight === 0 ? undefined : outcome(at),
  }));
}

/** What takes the place of chance, so that the backend at `at` is drawn and every mirror gets its copy. */
function drawing({ filters, backends }: Rule, at: number): () => number {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  const before = backends.slice(0, at).reduce((sum, { weight }) => sum + weight, 0);
  const draw = (before + backends[at]!.weight / 2) / total;
  // The mirrors of the rule draw first, in their order; those of the backend after it.
  let turn = filters.filter(({ type }) => type === 'RequestMirror').length;
  return () => (turn-- === 0 ? draw : 0);
}

function outcomeOf(table: RouteTable, routed: RoutedRequest, random: () => number): Outcome | undefined {
  try {
    let plan = planRequest(table, routed, random);
    // What holds if every service that is asked agrees, without a word of its own.
    while (plan?.auth !== undefined) plan = plan.granted([]);
    if (plan === undefined) return undefined;
    if (plan.answer !== undefined) return { kind: 'answered', ...plan.answer };
    const { target, fields, mirrors } = plan;
    return { kind: 'forwarded', target, fields, mirrors };
  } catch (error) {
    const { code, message } = asWeftError(error);
    return { kind: 'refused', status: ERRORS[code].status, code, message };
  }
}

/** What can be asked of a service's endpoints, and why the others cannot. */
export interface ExplainedEndpoint {
  readonly agent: string;
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  /** It may be picked; else `why` says what is against it. */
  readonly eligible: boolean;
  readonly why: string;
}

/** @param identity whether an identity document lets its agent serve: '' or why not */
export function explainEndpoints(
  list: EndpointList,
  identity: (document: string) => string,
): ExplainedEndpoint[] {
  return list.endpoints.map(({ agent, state, labels, document }) => {
    const why = state === 'ready' ? identity(document) : `it is ${state}`;
    return { agent, state, labels, eligible: why === '', why };
  });
}
