/**
 * Session persistence (GEP-1619): the requests of a session go to the endpoint that answered its first one. Nothing of a
 * session is kept here. Its token says all there is, so every agent that holds the route understands it:
 *
 *   <backend>.<endpoint>[.<begin>]   two digests, and when it began (ms, base 36) if the route lets it end
 *
 * The first digest is of the route, the rule and the backend: a token means nothing to any other rule. The token is
 * not authenticated, because it grants nothing: it is compared with what its own rule leads to now, and so a made-up one
 * leads to an endpoint that may get its sender's requests anyway, or nowhere. Who makes up a begin prolongs his
 * own session. All that a route forbids is checked again for each request, by both sides, as without a token.
 */
import { type Fields, without } from '../../protocol/fields.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { ForwardPlan, LiveSession, SessionSource } from '../../protocol/routes/plan.ts';
import type { Backend, Rule, Session } from '../../protocol/snapshot.ts';
import type { Balancer } from './balancer.ts';
import { digest, endpointTag } from './endpoint-tag.ts';

const TOKEN = /^([\w-]{16})\.([\w-]{16})(?:\.([0-9a-z]{1,9}))?$/;

/** The backends of a rule that can be used, by their digests and the other way round. */
interface RuleBackends {
  readonly byTag: ReadonlyMap<string, Backend>;
  readonly tags: ReadonlyMap<Backend, string>;
}

export class Sessions implements SessionSource {
  readonly #balancer: Pick<Balancer, 'pickTagged'>;
  readonly #wallMs: () => number;
  readonly #rules = new WeakMap<Rule, RuleBackends>();

  /** `wallMs`: the time of day, which tokens carry from one agent to another. */
  constructor(balancer: Pick<Balancer, 'pickTagged'>, wallMs: () => number) {
    this.#balancer = balancer;
    this.#wallMs = wallMs;
  }

  /** The session that a request with these lines belongs to, if its endpoint can be asked now. */
  find(rule: Rule, fields: Fields): LiveSession | undefined {
    const { session } = rule;
    if (session === undefined) return undefined;
    // A client may send several: of other paths, or left from before.
    for (const token of tokensIn(session, fields)) {
      const found = this.#open(rule, session, token);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * The lines of a response from `agent`, with the one that gives the client its token: unless the rule keeps no
   * sessions, or the request belonged to one that goes on.
   */
  begin({ rule, backendRef, session: live }: ForwardPlan, agent: string | undefined, fields: Fields): Fields {
    const { session } = rule;
    if (session === undefined || agent === undefined || live?.endpoint.agent === agent) return fields;
    const nowMs = this.#wallMs();
    const tag = this.#backendsOf(rule).tags.get(backendRef) as string;
    const began = session.absoluteMs === undefined ? '' : `.${Math.floor(nowMs).toString(36)}`;
    const token = `${tag}.${endpointTag(backendRef.service, agent)}${began}`;
    if (session.type === 'Cookie') return [...fields, 'set-cookie', cookieText(session, token, nowMs)];
    return [...without(fields, (name) => name === session.name), session.name, token];
  }

  #open(rule: Rule, { absoluteMs }: Session, token: string): LiveSession | undefined {
    const [, tag = '', endpoint = '', began] = TOKEN.exec(token) ?? [];
    const backend = this.#backendsOf(rule).byTag.get(tag);
    if (backend === undefined) return undefined;
    if (
      absoluteMs !== undefined &&
      (began === undefined || this.#isOver(Number.parseInt(began, 36), absoluteMs))
    )
      return undefined;
    const picked = this.#balancer.pickTagged(backend.service, endpoint);
    return picked === undefined ? undefined : { backend, endpoint: picked };
  }

  /** A begin that lies ahead by more than clocks differ would make a session that never ends. */
  #isOver(beganMs: number, absoluteMs: number): boolean {
    const ageMs = this.#wallMs() - beganMs;
    return ageMs >= absoluteMs || ageMs < -LIMITS.identitySkewMs;
  }

  #backendsOf(rule: Rule): RuleBackends {
    const known = this.#rules.get(rule);
    if (known !== undefined) return known;
    const byTag = new Map<string, Backend>();
    const tags = new Map<Backend, string>();
    // One service may stand there twice, with other filters.
    const places = new Map<string, number>();
    for (const backend of rule.backends) {
      const place = places.get(backend.service) ?? 0;
      places.set(backend.service, place + 1);
      if (backend.invalid !== undefined) continue;
      const named = rule.name ?? `#${rule.index}`;
      const tag = digest(`backend\0${rule.route}\0${named}\0${backend.service}\0${place}`);
      byTag.set(tag, backend);
      tags.set(backend, tag);
    }
    const made = { byTag, tags };
    this.#rules.set(rule, made);
    return made;
  }
}

/** What may be a token of the session, wherever it stands in the request. */
function tokensIn(session: Session, fields: Fields): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const value = fields[at + 1]!;
    if (session.type === 'Header') {
      if (fields[at] === session.name) tokens.push(value);
    } else if (fields[at] === 'cookie' && value.includes(session.name)) {
      for (const pair of value.split(';')) {
        const equals = pair.indexOf('=');
        if (pair.slice(0, Math.max(0, equals)).trim() === session.name)
          tokens.push(pair.slice(equals + 1).trim());
      }
    }
  }
  return tokens.slice(0, LIMITS.sessionTokensMax);
}

/**
 * Without `Secure`: what a workload asks its door for is plain HTTP, and a client would never send it back. A session
 * cookie bears no date, so that it ends with its client (RFC 6265 §5.3); a permanent one bears both forms.
 */
function cookieText(session: Extract<Session, { type: 'Cookie' }>, token: string, nowMs: number): string {
  const { name, path, permanent, absoluteMs } = session;
  const text = `${name}=${token}; Path=${path}; HttpOnly; SameSite=Strict`;
  if (!permanent || absoluteMs === undefined) return text;
  const expires = new Date(nowMs + absoluteMs).toUTCString();
  return `${text}; Max-Age=${Math.ceil(absoluteMs / 1000)}; Expires=${expires}`;
}
