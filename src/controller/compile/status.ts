/** What the controller says of a route, for each of its parents (HTTPROUTE.md A10). Pure. */
import { sessionText } from '../../protocol/routes/session-text.ts';
import {
  type HttpRoute,
  type ParentRef,
  type RawFilter,
  type RawRule,
  rulesOf,
  targetsOf,
} from '../resources/http-route.ts';
import type { Resource } from '../resources/resource.ts';
import { isTrafficPolicy } from '../resources/traffic-policy.ts';
import { type AliasContext, aliasConflicts } from './alias.ts';
import { type Attachment, attach } from './attachment.ts';
import { checkBackend, type Known } from './backend-check.ts';
import { unsupportedFilter } from './compile-filter.ts';
import { compileSession } from './compile-session.ts';
import { trafficConditions } from './compile-traffic.ts';
import { type Applied, type Condition, conditionMaker, type MakeCondition, programmed } from './condition.ts';

const CONTROLLER_NAME = 'weft.dev/controller';

export interface ParentStatus {
  readonly parentRef: ParentRef;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

export interface RouteStatus {
  readonly parents: readonly ParentStatus[];
}

export interface StatusContext extends Known {
  /** Of the resource that is judged. */
  readonly generation: number;
  readonly nowMs: number;
  /** Of a service's snapshot as it is now. */
  appliedOf(service: string): Applied;
}

/**
 * One entry for each parent that is a service. One that nobody serves or has declared is a pure frontend: its routes hold.
 * Other parents get none.
 * @param previous what was said before: it stays if it is of a newer generation, and what has not changed keeps its time
 */
export function routeStatus(route: HttpRoute, context: StatusContext, previous?: RouteStatus): RouteStatus {
  const parents: ParentStatus[] = [];
  for (const parentRef of route.spec.parentRefs ?? []) {
    const attachment = attach(parentRef, route.metadata, context.index);
    if (attachment === undefined) continue;
    const before = previous?.parents.find((parent) => sameParent(parent.parentRef, parentRef));
    if (before?.conditions.some(({ observedGeneration }) => observedGeneration > context.generation)) {
      parents.push(before);
      continue;
    }
    const make = conditionMaker(context.generation, context.nowMs, before?.conditions);
    const conditions = conditionsOf(route, attachment, context, make);
    parents.push({ parentRef, controllerName: CONTROLLER_NAME, conditions });
  }
  return { parents };
}

function conditionsOf(
  route: HttpRoute,
  attachment: Attachment,
  context: StatusContext,
  make: MakeCondition,
): Condition[] {
  const rules = rulesOf(route);
  const unsupported = [...rules.entries()].flatMap(([at, rule]) =>
    unsupportedOf(rule).map((what) => ({ at, what })),
  );
  const resolved = resolvedRefs(route, context, make);
  const refused = refusal(attachment, rules, unsupported);
  if (refused !== undefined) {
    const accepted = make('Accepted', 'False', refused.reason, refused.message);
    return [accepted, resolved, make('Programmed', 'False', 'NotAccepted', 'the route is not accepted')];
  }
  const conditions = [make('Accepted', 'True', 'Accepted', acceptedMessage(route)), resolved];
  if (unsupported.length > 0) {
    const dropped = unsupported.map(
      ({ at, what }) => `Dropped Rule ${at}: ${what} is not supported, its requests get 500`,
    );
    conditions.push(make('PartiallyInvalid', 'True', 'UnsupportedValue', dropped.join('; ')));
  }
  return [...conditions, programmed(context.appliedOf(attachment.service), make)];
}

interface Unsupported {
  readonly at: number;
  readonly what: string;
}

function refusal(
  attachment: Attachment,
  rules: readonly RawRule[],
  unsupported: readonly Unsupported[],
): { readonly reason: string; readonly message: string } | undefined {
  if (!attachment.attached) return { reason: 'NoMatchingParent', message: attachment.why };
  if (new Set(unsupported.map(({ at }) => at)).size < rules.length) return undefined;
  const what = [...new Set(unsupported.map((one) => one.what))].join(', ');
  return { reason: 'UnsupportedValue', message: `${what} is not supported: all requests get 500` };
}

/** What a rule asks for that nobody here can do. A reference to an unknown extension is told by ResolvedRefs. */
function unsupportedOf(rule: RawRule): string[] {
  const filters = filtersOf(rule).filter(({ type }) => type !== 'ExtensionRef');
  return filters.map(unsupportedFilter).filter((what) => what !== undefined);
}

function filtersOf({ filters = [], backendRefs = [] }: RawRule): RawFilter[] {
  return [...filters, ...backendRefs.flatMap((backend) => backend.filters ?? [])];
}

function acceptedMessage(route: HttpRoute): string {
  const notes = ['the route is accepted'];
  if ((route.spec.hostnames ?? []).length > 0) notes.push('hostnames are not used in a mesh');
  for (const at of rulesOf(route).keys()) {
    const session = compileSession(route, at);
    // A generated name can be read nowhere else.
    if (session !== undefined) notes.push(`rule ${at} keeps sessions by the ${sessionText(session)}`);
  }
  return notes.join('; ');
}

/** Every reference that leads nowhere is named; the reason is that of the first. */
function resolvedRefs(route: HttpRoute, known: Known, make: MakeCondition): Condition {
  const wrong = new Map<string, string>();
  for (const rule of rulesOf(route)) {
    for (const target of targetsOf(rule)) {
      const { invalid } = checkBackend(target, route.metadata, known);
      if (invalid !== undefined) wrong.set(invalid.message, invalid.reason);
    }
    for (const filter of filtersOf(rule)) {
      if (filter.type === 'ExtensionRef')
        wrong.set(`${unsupportedFilter(filter)} is not known`, 'InvalidKind');
    }
  }
  const [reason] = wrong.values();
  return reason === undefined
    ? make('ResolvedRefs', 'True', 'ResolvedRefs', 'all references are resolved')
    : make('ResolvedRefs', 'False', reason, [...wrong.keys()].join('; '));
}

function sameParent(a: ParentRef, b: ParentRef): boolean {
  const keyOf = (parent: ParentRef) =>
    JSON.stringify([
      parent.group,
      parent.kind,
      parent.namespace,
      parent.name,
      parent.sectionName,
      parent.port,
    ]);
  return keyOf(a) === keyOf(b);
}

/** What a resource that is no route is judged by. */
export interface ResourceContext extends AliasContext {
  readonly generation: number;
  readonly nowMs: number;
  readonly applied: Applied;
}

/** Of everything that is no route. What has no effect, or not yet, says so. */
export function resourceStatus(
  resource: Resource,
  context: ResourceContext,
  previous: readonly Condition[] = [],
): { readonly conditions: readonly Condition[] } {
  const make = conditionMaker(context.generation, context.nowMs, previous);
  const accepted = make('Accepted', 'True', 'Accepted', `the ${resource.kind} is accepted`);
  const { kind } = resource;
  if (kind === 'AuthorizationPolicy') return { conditions: [accepted, programmed(context.applied, make)] };
  if (isTrafficPolicy(resource)) {
    return { conditions: [accepted, ...trafficConditions(resource, context.index, context.applied, make)] };
  }
  if (kind !== 'Service') {
    const message = `${kind}: stored and checked, without effect yet`;
    return { conditions: [accepted, make('Programmed', 'False', 'NotImplemented', message)] };
  }
  const conflicts = aliasConflicts(resource, context);
  const conflicted =
    conflicts.length === 0 ? [] : [make('Conflicted', 'True', 'AliasTaken', conflicts.join('; '))];
  return { conditions: [accepted, ...conflicted, programmed(context.applied, make)] };
}
