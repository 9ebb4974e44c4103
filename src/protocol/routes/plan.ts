/**
 * What is to be done with a request: the route that matches, its filters applied, a backend drawn. Pure, and the
 * same function for the agent, which does it, and for `weft explain`, which tells it.
 */
import { WeftError } from '../errors.ts';
import type { Fields } from '../fields.ts';
import { LIMITS } from '../limits.ts';
import type { Filter, HeaderModifier, Rule } from '../snapshot.ts';
import { applyCors, corsAnswer } from './cors.ts';
import { modifyFields } from './header-modifier.ts';
import type { MatchedRequest } from './match-test.ts';
import { mirrored } from './mirror.ts';
import { modifyPath } from './path-modifier.ts';
import { redirectLocation } from './redirect.ts';
import type { RouteTable } from './route-table.ts';
import { pickBackend } from './weighted-pick.ts';

/** A request as its caller sent it to the service. */
export interface RoutedRequest {
  readonly method: string;
  /** Origin form: path and query. */
  readonly target: string;
  /** The authority without its port. */
  readonly hostname: string;
  /** Of the service: as the authority says, or HTTP's own. */
  readonly port: number;
  readonly fields: Fields;
}

/** A filter has answered: no backend is called. */
export interface AnswerPlan {
  readonly rule: Rule;
  readonly answer: { readonly status: number; readonly fields: Fields };
}

export interface ForwardPlan {
  readonly answer: undefined;
  readonly rule: Rule;
  /** Whose endpoints get it: `orders.default`. */
  readonly backend: string;
  readonly target: string;
  readonly fields: Fields;
  /** For the response, in this order. */
  readonly modifiers: readonly HeaderModifier[];
  /** What CORS has to say in the response; undefined if it has nothing to do with it. */
  readonly cors: Fields | undefined;
  /** Services that get a copy. */
  readonly mirrors: readonly string[];
}

export type Plan = AnswerPlan | ForwardPlan;

/** What the matches of routes look at in a request. */
export function matchedRequest({ method, target, fields, port }: RoutedRequest): MatchedRequest {
  const queryAt = target.indexOf('?');
  if (queryAt < 0) return { method, path: target, query: '', fields, port };
  return { method, path: target.slice(0, queryAt), query: target.slice(queryAt + 1), fields, port };
}

/**
 * Undefined if no route is attached to the port that is asked: the request goes on as without routes.
 * @param random from 0 to 1: draws the backend, and who is mirrored.
 * @throws WeftError `no_route`, `invalid_backend`, `unsupported_filter`, `uri_too_long`
 */
export function planRequest(
  table: RouteTable,
  request: RoutedRequest,
  random: () => number,
): Plan | undefined {
  if (!table.concerns(request.port)) return undefined;
  const matched = matchedRequest(request);
  const { method, path } = matched;
  const rule = table.find(matched);
  if (rule === undefined) {
    throw new WeftError('no_route', `no rule of the service's routes matches ${method} ${shown(path)}`);
  }
  const passage = new Passage(request, path, request.target.slice(path.length), random);
  const where = `${rule.route} rule ${rule.index}`;
  const answer = passage.apply(rule.filters, where);
  if (answer !== undefined) return { rule, answer };

  const backend = pickBackend(rule.backends, random());
  if (backend === undefined) {
    throw new WeftError('invalid_backend', `${where}: no backend has any weight`);
  }
  if (backend.invalid !== undefined) {
    throw new WeftError('invalid_backend', `${where}: backend ${backend.service}: ${backend.invalid}`);
  }
  const backendAnswer = passage.apply(backend.filters, `${where}, backend ${backend.service}`);
  if (backendAnswer !== undefined) return { rule, answer: backendAnswer };
  return passage.forward(rule, backend.service);
}

/** A request on its way through the filters, in the order in which they are listed. */
class Passage {
  readonly #request: RoutedRequest;
  readonly #random: () => number;
  /** With its question mark. */
  readonly #query: string;
  #path: string;
  #fields: Fields;
  #modifiers: HeaderModifier[] = [];
  #cors: Fields | undefined;
  #mirrors: string[] = [];

  constructor(request: RoutedRequest, path: string, query: string, random: () => number) {
    this.#request = request;
    this.#path = path;
    this.#query = query;
    this.#fields = request.fields;
    this.#random = random;
  }

  /** Returns the answer if one of them gives it. */
  apply(filters: readonly Filter[], where: string): AnswerPlan['answer'] | undefined {
    for (const filter of filters) {
      switch (filter.type) {
        case 'RequestHeaderModifier':
          this.#fields = modifyFields(this.#fields, filter.modifier);
          break;
        case 'ResponseHeaderModifier':
          // What is nearer to the backend comes first on the way back.
          this.#modifiers.unshift(filter.modifier);
          break;
        case 'URLRewrite':
          this.#rewrite(filter.rewrite);
          break;
        case 'RequestMirror':
          if (mirrored(filter.mirror, this.#random())) this.#mirrors.push(filter.mirror.service);
          break;
        case 'RequestRedirect':
          return this.#redirect(filter.redirect);
        case 'CORS': {
          const said = corsAnswer(filter.cors, this.#request.fields, this.#request.method);
          if (said.preflight !== undefined) return said.preflight;
          this.#cors = said.fields;
          break;
        }
        default:
          throw new WeftError('unsupported_filter', `${where}: ${filter.what}`);
      }
    }
    return undefined;
  }

  forward(rule: Rule, backend: string): ForwardPlan {
    const target = this.#path + this.#query;
    if (target.length > LIMITS.targetBytesMax) {
      throw new WeftError(
        'uri_too_long',
        `the route makes the target longer than ${LIMITS.targetBytesMax} bytes`,
      );
    }
    return {
      answer: undefined,
      rule,
      backend,
      target,
      fields: this.#fields,
      modifiers: this.#modifiers,
      cors: this.#cors,
      mirrors: this.#mirrors,
    };
  }

  #rewrite({ hostname, path }: Extract<Filter, { type: 'URLRewrite' }>['rewrite']): void {
    if (path !== undefined) this.#path = modifyPath(this.#path, path);
    if (hostname !== undefined) {
      this.#fields = modifyFields(this.#fields, { set: [['host', hostname]], add: [], remove: [] });
    }
  }

  #redirect(redirect: Extract<Filter, { type: 'RequestRedirect' }>['redirect']): AnswerPlan['answer'] {
    const { hostname: host, port } = this.#request;
    const query = this.#query.slice(1);
    const location = redirectLocation(redirect, { scheme: 'http', host, port, path: this.#path, query });
    const modified = this.#modifiers.reduce(modifyFields, ['location', location, 'content-length', '0']);
    return {
      status: redirect.status,
      fields: this.#cors === undefined ? modified : applyCors(modified, this.#cors),
    };
  }
}

/** A path as an error may repeat it to its own sender. */
function shown(path: string): string {
  return JSON.stringify(path.slice(0, 120));
}
