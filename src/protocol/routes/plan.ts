/**
 * What is to be done with a request: the route that matches, its filters applied, a backend drawn. Pure, and the
 * same function for the agent, which does it, and for `weft explain`, which tells it.
 */
import { type ErrorCode, WeftError } from '../errors.ts';
import type { Fields } from '../fields.ts';
import type { PeerIdentity } from '../introduction.ts';
import { LIMITS } from '../limits.ts';
import {
  type Backend,
  type ExternalAuth,
  type Filter,
  type HeaderModifier,
  type Rule,
  ruleName,
} from '../snapshot.ts';
import { applyCors, corsAnswer } from './cors.ts';
import { authTarget, grantedFields } from './external-auth.ts';
import { headExcess } from './head-excess.ts';
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
  readonly auth?: undefined;
  readonly answer: { readonly status: number; readonly fields: Fields };
}

export interface ForwardPlan {
  readonly answer: undefined;
  readonly auth?: undefined;
  readonly rule: Rule;
  /** Whose endpoints get it: `orders.default`. */
  readonly backend: string;
  /** The same as the rule names it. */
  readonly backendRef: Backend;
  /** Whose endpoint gets it before any other; undefined if the balancer picks one. */
  readonly session: LiveSession | undefined;
  readonly target: string;
  readonly fields: Fields;
  /** For the response, in this order. */
  readonly modifiers: readonly HeaderModifier[];
  /** What CORS has to say in the response; undefined if it has nothing to do with it. */
  readonly cors: Fields | undefined;
  /** Services that get a copy. */
  readonly mirrors: readonly string[];
}

/** A service has to agree before anything else becomes of the request. */
export interface AuthPlan extends Pick<ForwardPlan, 'modifiers' | 'cors'> {
  readonly answer: undefined;
  readonly rule: Rule;
  readonly auth: ExternalAuth;
  /** What it is asked for. */
  readonly target: string;
  /** What is next, once it has agreed with a response of these lines. Throws like `planRequest`. */
  granted(consent: Fields): Plan;
}

export type Plan = AnswerPlan | ForwardPlan | AuthPlan;

/** Where the requests of a session go: to where the first of them went. */
export interface LiveSession {
  readonly backend: Backend;
  readonly endpoint: PeerIdentity;
}

export interface SessionSource {
  /** The session of a rule that a request with these lines belongs to, if it can go on. */
  find(rule: Rule, fields: Fields): LiveSession | undefined;
}

/** What the matches of routes look at in a request. */
export function matchedRequest({ method, target, fields, port }: RoutedRequest): MatchedRequest {
  const queryAt = target.indexOf('?');
  if (queryAt < 0) return { method, path: target, query: '', fields, port };
  return { method, path: target.slice(0, queryAt), query: target.slice(queryAt + 1), fields, port };
}

/**
 * Undefined if no route is attached to the port that is asked: the request goes on as without routes.
 * @param random from 0 to 1: draws the backend, and who is mirrored.
 * @param sessions those that are alive; without it every request is taken for the first of its session
 * @throws WeftError `no_route`, `match_too_costly`; and, with what CORS has to say in its response, `invalid_backend`,
 * `unsupported_filter`, `uri_too_long`, `head_too_large`
 */
export function planRequest(
  table: RouteTable,
  request: RoutedRequest,
  random: () => number,
  sessions?: SessionSource,
): Plan | undefined {
  if (!table.concerns(request.port)) return undefined;
  const matched = matchedRequest(request);
  const { method, path } = matched;
  const rule = table.find(matched);
  if (rule === undefined) {
    throw new WeftError('no_route', `no rule of the service's routes matches ${method} ${shown(path)}`);
  }
  const passage = new Passage(request, path, rule, random);
  const answer = passage.speakCors(rule.filters);
  return answer === undefined ? passage.proceed(sessions) : { rule, answer };
}

/** A request on its way through the filters: CORS first, the others in the order in which they are listed. */
class Passage {
  readonly #request: RoutedRequest;
  readonly #rule: Rule;
  readonly #random: () => number;
  /** With its question mark. */
  readonly #query: string;
  readonly #pathBytes: number;
  #path: string;
  #fields: Fields;
  #modifiers: HeaderModifier[] = [];
  #cors: Fields | undefined;
  #mirrors: string[] = [];
  /** The list that is gone through, first the rule's and then that of the backend, and where in it the next one stands. */
  #filters: readonly Filter[];
  #next = 0;
  #backend: Backend | undefined;
  #session: LiveSession | undefined;

  constructor(request: RoutedRequest, path: string, rule: Rule, random: () => number) {
    this.#request = request;
    this.#rule = rule;
    this.#filters = rule.filters;
    this.#path = path;
    this.#pathBytes = path.length;
    this.#query = request.target.slice(path.length);
    this.#fields = request.fields;
    this.#random = random;
  }

  /** Goes on to where it is known what is next: the end, an answer, or somebody who has to be asked. */
  proceed(sessions: SessionSource | undefined): Plan {
    const rule = this.#rule;
    for (;;) {
      const filter = this.#filters[this.#next++];
      if (filter === undefined) {
        if (this.#backend !== undefined) return this.#forward(this.#backend);
        const preflight = this.#draw(sessions);
        if (preflight !== undefined) return { rule, answer: preflight };
      } else if (filter.type === 'ExternalAuth') {
        return this.#ask(filter.auth, sessions);
      } else {
        const answer = this.#apply(filter);
        if (answer !== undefined) return { rule, answer };
      }
    }
  }

  /** Picks the backend, whose filters are next. Returns the answer to a preflight if these give it. */
  #draw(sessions: SessionSource | undefined): AnswerPlan['answer'] | undefined {
    const rule = this.#rule;
    // A session beats the weights, even one of 0 (A8). It is known by what the client has sent, not by what filters make of it.
    this.#session = rule.session === undefined ? undefined : sessions?.find(rule, this.#request.fields);
    const backend = this.#session?.backend ?? pickBackend(rule.backends, this.#random());
    if (backend === undefined)
      throw this.#refusal('invalid_backend', `${this.#where()}: no backend has any weight`);
    this.#backend = backend;
    this.#filters = backend.filters;
    this.#next = 0;
    const preflight = this.speakCors(backend.filters);
    if (backend.invalid !== undefined)
      throw this.#refusal('invalid_backend', `${this.#where()}: ${backend.invalid}`);
    return preflight;
  }

  #ask(auth: ExternalAuth, sessions: SessionSource | undefined): AuthPlan {
    if (auth.invalid !== undefined) {
      throw this.#refusal(
        'invalid_backend',
        `${this.#where()}: ExternalAuth ${auth.service}: ${auth.invalid}`,
      );
    }
    const target = authTarget(auth, this.#request.target);
    if (target.length > LIMITS.targetBytesMax) throw this.#tooLong();
    return {
      answer: undefined,
      rule: this.#rule,
      auth,
      target,
      modifiers: this.#modifiers,
      cors: this.#cors,
      granted: (consent) => {
        this.#fields = grantedFields(auth, this.#fields, consent);
        return this.proceed(sessions);
      },
    };
  }

  /**
   * CORS, wherever in the list it stands: a browser's script can read what another filter answers, or an error, only
   * if that speaks CORS too, and a preflight asks whether the request may be sent, not what becomes of it. Returns
   * the answer to a preflight.
   */
  speakCors(filters: readonly Filter[]): AnswerPlan['answer'] | undefined {
    for (const filter of filters) {
      if (filter.type !== 'CORS') continue;
      const said = corsAnswer(filter.cors, this.#request.fields, this.#request.method);
      this.#cors = said.fields;
      return said.preflight;
    }
    return undefined;
  }

  /** Returns the answer if it gives one. */
  #apply(filter: Exclude<Filter, { type: 'ExternalAuth' }>): AnswerPlan['answer'] | undefined {
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
      case 'CORS':
        break;
      default:
        throw this.#refusal('unsupported_filter', `${this.#where()}: ${filter.what}`);
    }
    return undefined;
  }

  #where(): string {
    const backend = this.#backend === undefined ? '' : `, backend ${this.#backend.service}`;
    return ruleName(this.#rule) + backend;
  }

  #tooLong(): WeftError {
    const over = `makes the target longer than ${LIMITS.targetBytesMax} bytes`;
    return this.#refusal('uri_too_long', `${ruleName(this.#rule)}: the route ${over}`);
  }

  #refusal(code: ErrorCode, details: string): WeftError {
    return new WeftError(code, details, { fields: this.#cors });
  }

  #forward(backend: Backend): ForwardPlan {
    const rule = this.#rule;
    const target = this.#path + this.#query;
    if (target.length > LIMITS.targetBytesMax) throw this.#tooLong();
    const unchanged = this.#fields === this.#request.fields && this.#path.length <= this.#pathBytes;
    const excess = unchanged ? undefined : headExcess(this.#fields, this.#request.method + target);
    if (excess !== undefined) {
      throw this.#refusal(
        'head_too_large',
        `${ruleName(rule)}: with what the route adds, the head ${excess}`,
      );
    }
    return {
      answer: undefined,
      rule,
      backend: backend.service,
      backendRef: backend,
      session: this.#session,
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
