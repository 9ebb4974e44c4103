/** What the policies of a service say of a request, and why: found with the functions by which its agents decide. Pure. */
import type { Authorization } from '../protocol/authorization/authorization.ts';
import { Authorizer, deniedError } from '../protocol/authorization/authorizer.ts';
import { type Decision, decisionText } from '../protocol/authorization/decision.ts';
import { type AuthorizedRequest, Subject } from '../protocol/authorization/subject.ts';
import { asWeftError, type ErrorCode } from '../protocol/errors.ts';
import type { Snapshot } from '../protocol/snapshot.ts';

export interface ConsideredPolicy extends Decision {
  /** `matches`, or the part of the rule that does not fit. */
  readonly verdict: string;
}

export interface ExplainedAuthorization {
  readonly principal: string | null;
  /** What the application would be asked for. */
  readonly target: string;
  /** The path as policies see it; null if it can be read in more than one way. */
  readonly path: string | null;
  readonly defaultAction: Authorization['defaultAction'];
  /** Every rule, in the order in which they are asked. */
  readonly considered: readonly ConsideredPolicy[];
  readonly audits: readonly Decision[];
  /** Null if the request is refused before any policy is asked. */
  readonly decision: Decision | null;
  /** What the agent answers; absent if the request may go on. */
  readonly refusal?: { readonly code: ErrorCode; readonly message: string };
}

const NOT_FITTING = {
  from: 'from: the caller does not fit',
  to: 'to: the request does not fit',
  when: 'when: a condition does not hold',
} as const;

/** A service about which nothing is published has no policies, and its callers no limits but their identity. */
const EVERYTHING: Authorization = Object.freeze({ defaultAction: 'allow', policies: [] });

export function explainAuthorization(
  mesh: string,
  { service, revision, authorization = EVERYTHING }: Pick<Snapshot, 'service' | 'revision' | 'authorization'>,
  request: AuthorizedRequest,
): ExplainedAuthorization {
  const authorizer = new Authorizer({ service, revision, authorization });
  const subject = new Subject(mesh, request);
  const considered = authorizer.rules.map(({ decision, misfit }) => {
    const part = misfit(subject);
    return { ...decision, verdict: part === undefined ? 'matches' : NOT_FITTING[part] };
  });
  const told = {
    principal: subject.principal ?? null,
    target: request.target,
    path: subject.path?.text ?? null,
    defaultAction: authorization.defaultAction,
    considered,
    audits: authorizer.audits(subject),
  };
  try {
    const decision = authorizer.decide(subject);
    if (decision.action === 'DENY') return { ...told, decision, refusal: refusalOf(deniedError()) };
    return { ...told, decision, target: authorizer.judgesPaths ? subject.normalTarget() : request.target };
  } catch (error) {
    return { ...told, decision: null, refusal: refusalOf(error) };
  }
}

/** In one line: what was decided, by which rule. */
export function authorizationText({ decision, refusal }: ExplainedAuthorization): string {
  return decision === null ? `no policy is asked: ${refusal?.message}` : decisionText(decision);
}

function refusalOf(error: unknown): { readonly code: ErrorCode; readonly message: string } {
  const { code, message } = asWeftError(error);
  if (code === 'internal') throw error;
  return { code, message };
}
