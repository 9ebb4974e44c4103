/**
 * Who may do what, asked by both sides of the agent: the outbound side to refuse early, the inbound side because its answer is
 * the one that counts. What was decided, and by which rule, is for logs and metrics; the caller is told that it is so.
 */
import type { Logger } from 'pino';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { createAuthorizers, deniedError } from '../protocol/authorization/authorizer.ts';
import type { Decision } from '../protocol/authorization/decision.ts';
import { type AuthorizedRequest, Subject } from '../protocol/authorization/subject.ts';
import { WeftError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { createLogRate } from '../protocol/log-rate.ts';
import type { Snapshot } from '../protocol/snapshot.ts';
import { traceIdOf } from '../protocol/trace.ts';
import type { Side } from './side.ts';

export interface AuthorizationParts {
  readonly mesh: string;
  /**
   * For services of which no snapshot is held. Somebody who keeps one back looks like nobody who has published any: `allow`
   * is for meshes without a controller, with `deny` nothing is let in before it is known who may come.
   */
  readonly defaultAction: DefaultAction;
  readonly log: Logger;
  readonly now: () => number;
  readonly counted: (side: Side, decision: Decision) => void;
}

export interface Authorization {
  /** Refuses what the inbound side will refuse, as far as it is known here. @throws WeftError `denied`, `ambiguous_path` */
  refuseEarly(service: string, snapshot: Snapshot | undefined, request: AuthorizedRequest): void;
  /** @returns the target as it is to be sent on. @throws WeftError `denied`, `ambiguous_path`, `policy_unknown` */
  authorize(service: string, snapshot: Snapshot | undefined, request: AuthorizedRequest): string;
}

export function createAuthorization({
  mesh,
  defaultAction,
  log,
  now,
  counted,
}: AuthorizationParts): Authorization {
  const authorizers = createAuthorizers(defaultAction);
  const mayLog = createLogRate(LIMITS.decisionsLoggedPerSecond, now, (suppressed) =>
    log.warn({ suppressed }, 'more was denied or audited than was logged'),
  );

  const tell = (side: Side, { action, ...decision }: Decision, request: AuthorizedRequest) => {
    if (!mayLog()) return;
    const { caller = 'anonymous', method, target, fields } = request;
    // Queries may hold secrets.
    const path = target.split('?', 1)[0];
    const entry = { side, action, ...decision, caller, method, path, traceId: traceIdOf(fields) };
    if (action === 'AUDIT') log.info(entry, 'request audited');
    else log.warn(entry, 'request denied');
  };

  return Object.freeze({
    refuseEarly(service: string, snapshot: Snapshot | undefined, request: AuthorizedRequest) {
      // What is not known here is known where the service runs.
      if (snapshot?.authorization === undefined) return;
      const decision = authorizers.of(service, snapshot)?.decide(new Subject(mesh, request));
      if (decision?.action !== 'DENY') return;
      counted('outbound', decision);
      tell('outbound', decision, request);
      throw deniedError();
    },

    authorize(service: string, snapshot: Snapshot | undefined, request: AuthorizedRequest) {
      if (snapshot === undefined && defaultAction === 'deny') throw unknownPolicy(service);
      const authorizer = authorizers.of(service, snapshot);
      if (authorizer === undefined) {
        if (request.caller === undefined) throw nobody(service);
        return request.target;
      }
      const subject = new Subject(mesh, request);
      for (const audit of authorizer.audits(subject)) {
        counted('inbound', audit);
        tell('inbound', audit, request);
      }
      const decision = authorizer.decide(subject);
      counted('inbound', decision);
      if (decision.action === 'DENY') {
        tell('inbound', decision, request);
        throw deniedError();
      }
      return authorizer.judgesPaths ? subject.normalTarget() : request.target;
    },
  });
}

function unknownPolicy(service: string): WeftError {
  const waits = 'the agent that serves it holds no signed snapshot of it yet';
  return new WeftError('policy_unknown', `${service}: ${waits}, and authorization.default is deny`);
}

function nobody(service: string): WeftError {
  const help = 'call by the door of a workload';
  return new WeftError('denied', `${service} lets nobody in who has no identity; ${help}`);
}
