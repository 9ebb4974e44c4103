/**
 * The policies of one service, made ready once for its snapshot: DENY match → deny; no ALLOW policy → the mesh's default;
 * ALLOW match → allow; else deny. AUDIT never changes the outcome.
 */
import { WeftError } from '../errors.ts';
import type { Revision } from '../revision.ts';
import {
  type Authorization,
  type DefaultAction,
  namesPaths,
  type Policy,
  type PolicyRule,
} from './authorization.ts';
import { callerTest } from './caller-test.ts';
import { type Decision, MESH_POLICY, MESH_RULES } from './decision.ts';
import { headerTest } from './header-test.ts';
import { requestTest } from './request-test.ts';
import type { Subject } from './subject.ts';

/** The part of a rule that a request does not fit. */
export type RuleMisfit = 'from' | 'to' | 'when';

export interface RuleTest {
  /** What it says of a request that fits. */
  readonly decision: Decision;
  /** The first part that does not fit; undefined if all do. */
  misfit(subject: Subject): RuleMisfit | undefined;
}

/** A snapshot, as far as it matters here. */
export interface AuthorizedService {
  readonly service: string;
  readonly revision: Revision;
  readonly authorization?: Authorization;
}

const NO_DECISIONS: readonly Decision[] = Object.freeze([]);

export class Authorizer {
  /** True if a policy other than an AUDIT decides by paths: then these have to be of one reading. */
  readonly judgesPaths: boolean;
  /** In the order in which they are asked: DENY, ALLOW, AUDIT. */
  readonly rules: readonly RuleTest[];
  readonly #deny: readonly RuleTest[];
  readonly #allow: readonly RuleTest[];
  readonly #audit: readonly RuleTest[];
  /** Of what no DENY and no ALLOW matches; and if the caller has no identity. */
  readonly #otherwise: Decision;
  readonly #anonymous: Decision;

  constructor({
    service,
    revision,
    authorization,
  }: AuthorizedService & { readonly authorization: Authorization }) {
    const { defaultAction, policies } = authorization;
    const of = (action: Policy['action']) => policies.filter((policy) => policy.action === action);
    const tests = (action: Policy['action']) =>
      of(action).flatMap((policy) => policy.rules.map((rule) => ruleTest(service, policy, rule)));
    this.#deny = tests('DENY');
    this.#allow = tests('ALLOW');
    this.#audit = tests('AUDIT');
    this.rules = [...this.#deny, ...this.#allow, ...this.#audit];
    this.judgesPaths = policies.some((policy) => policy.action !== 'AUDIT' && namesPaths(policy));
    const byMesh = (rule: keyof typeof MESH_RULES): Decision =>
      Object.freeze({
        action: rule === 'allow' ? 'ALLOW' : 'DENY',
        service,
        policy: MESH_POLICY,
        rule: MESH_RULES[rule],
        revision: revision[1],
      });
    this.#otherwise = byMesh(of('ALLOW').length > 0 ? 'unmatched' : defaultAction);
    // The default is about the workloads of the mesh: who is nobody has to be let in by name.
    this.#anonymous = this.#otherwise.action === 'ALLOW' ? byMesh('anonymous') : this.#otherwise;
  }

  /** @throws WeftError `ambiguous_path` if a policy decides by paths and the request's can be read in more than one way */
  decide(subject: Subject): Decision {
    if (this.judgesPaths) subject.normalTarget();
    const decision = firstOf(this.#deny, subject) ?? firstOf(this.#allow, subject);
    return decision ?? (subject.request.caller === undefined ? this.#anonymous : this.#otherwise);
  }

  /** What is to be recorded of a request, whatever becomes of it: one for each AUDIT policy that matches. */
  audits(subject: Subject): readonly Decision[] {
    if (this.#audit.length === 0) return NO_DECISIONS;
    const found: Decision[] = [];
    for (const { decision, misfit } of this.#audit) {
      if (found.at(-1)?.policy === decision.policy) continue;
      if (misfit(subject) === undefined) found.push(decision);
    }
    return found;
  }
}

/**
 * The authorizers of snapshots, each made once.
 * @param unknown what becomes of requests to a service of which no snapshot is held
 */
export function createAuthorizers(unknown: DefaultAction) {
  const made = new WeakMap<AuthorizedService, Authorizer>();
  return Object.freeze({
    /** Undefined if nothing is to be decided: every workload of the mesh may do everything. */
    of(service: string, snapshot: AuthorizedService | undefined): Authorizer | undefined {
      if (snapshot === undefined) return unknown === 'allow' ? undefined : refusing(service);
      const { authorization } = snapshot;
      if (authorization === undefined) return undefined;
      let authorizer = made.get(snapshot);
      if (authorizer === undefined) {
        authorizer = new Authorizer({ ...snapshot, authorization });
        made.set(snapshot, authorizer);
      }
      return authorizer;
    },
  });
}

function refusing(service: string): Authorizer {
  return new Authorizer({
    service,
    revision: [0, 0],
    authorization: { defaultAction: 'deny', policies: [] },
  });
}

function firstOf(tests: readonly RuleTest[], subject: Subject): Decision | undefined {
  for (const { decision, misfit } of tests) if (misfit(subject) === undefined) return decision;
  return undefined;
}

function ruleTest(service: string, { policy, revision, action }: Policy, rule: PolicyRule): RuleTest {
  const strict = action === 'ALLOW';
  const from = rule.from?.map((match) => callerTest(match, strict));
  const to = rule.to?.map((match) => requestTest(match, strict));
  const when = (rule.when ?? []).map((match) => headerTest(match, strict));
  return Object.freeze({
    decision: Object.freeze({ action, service, policy, rule: rule.name, revision }),
    misfit(subject: Subject): RuleMisfit | undefined {
      if (from?.every((fits) => !fits(subject))) return 'from';
      // A rule that allows everybody means everybody with an identity.
      if (from === undefined && strict && subject.request.caller === undefined) return 'from';
      if (to?.every((fits) => !fits(subject))) return 'to';
      return when.every((fits) => fits(subject)) ? undefined : 'when';
    },
  });
}

/** What a caller is told: nothing of who may, nor by what it was decided. */
export function deniedError(): WeftError {
  return new WeftError('denied', 'policy does not let this caller do that');
}
