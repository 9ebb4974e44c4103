/** What an HTTPRoute refers to, and what its author may not expect of it. */
import { shownValue } from '../../protocol/config-fault.ts';
import { attach } from '../compile/attachment.ts';
import { checkBackend } from '../compile/backend-check.ts';
import { unsupportedFilter } from '../compile/compile-filter.ts';
import {
  type BackendTarget,
  type HttpRoute,
  matchesOf,
  parentService,
  type RawFilter,
  type RawRule,
  rulesOf,
} from './http-route.ts';
import type { ReferenceContext } from './references.ts';

type Path = readonly (string | number)[];

const IDEMPOTENT: ReadonlySet<string | undefined> = new Set([
  'GET',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'TRACE',
]);

export function checkRouteReferences(route: HttpRoute, context: ReferenceContext): void {
  checkParents(route, context);
  if ((route.spec.hostnames ?? []).length > 0) {
    context.warn(
      ['spec', 'hostnames'],
      'host names are not matched in a mesh; match on the Host header instead',
    );
  }
  for (const [at, rule] of rulesOf(route).entries()) checkRule(route, rule, ['spec', 'rules', at], context);
}

/** A parent that is left to its defaults is a Gateway: the usual slip of a route that is meant for a service. */
function checkParents({ spec, metadata }: HttpRoute, context: ReferenceContext): void {
  const parents = spec.parentRefs ?? [];
  if (parents.length === 0)
    context.warn(['spec'], 'there are no parentRefs: the route is attached to nothing');
  const strays: Path[] = [];
  for (const [at, parent] of parents.entries()) {
    const path = ['spec', 'parentRefs', at];
    const service = parentService(parent, metadata);
    if (service === undefined) {
      if (parent.kind === 'Service') {
        context.refuse([...path, 'group'], '"", the group of Service', shownValue(parent.group));
      } else {
        strays.push(path);
      }
      continue;
    }
    if (!context.knownServices.has(service)) {
      context.warn([...path, 'name'], `service ${service} is not known yet${context.meant(service)}`);
      continue;
    }
    const attachment = attach(parent, metadata, context);
    if (attachment?.attached === false) context.warn(path, `not attached: ${attachment.why}`);
  }
  for (const path of strays) {
    const { kind = 'Gateway', name } = parents[path[2] as number]!;
    if (strays.length === parents.length) {
      context.refuse([...path, 'kind'], 'Service, with group: ""; in a mesh nothing else is a parent', kind);
    } else {
      context.warn(path, `${kind} ${name} is no part of this mesh and gets no status`);
    }
  }
}

function checkRule(route: HttpRoute, rule: RawRule, path: Path, context: ReferenceContext): void {
  checkFilters(route, rule.filters ?? [], [...path, 'filters'], context);
  for (const [at, backend] of (rule.backendRefs ?? []).entries()) {
    const here = [...path, 'backendRefs', at];
    checkTarget(route, backend, here, 'its share of the requests gets 500', context);
    checkFilters(route, backend.filters ?? [], [...here, 'filters'], context);
  }
  if ((rule.backendRefs ?? []).length > 0 && rule.backendRefs!.every(({ weight }) => weight === 0)) {
    context.warn([...path, 'backendRefs'], 'all weights are 0: every request gets 500');
  }
  const repeats = matchesOf(rule).some(({ method }) => !IDEMPOTENT.has(method));
  if ((rule.retry?.codes ?? []).length > 0 && repeats) {
    context.warn(
      [...path, 'retry', 'codes'],
      'requests of every method are repeated, POST included, and may then act twice; match on method to narrow it',
    );
  }
}

function checkFilters(
  route: HttpRoute,
  filters: readonly RawFilter[],
  path: Path,
  context: ReferenceContext,
): void {
  for (const [at, filter] of filters.entries()) {
    const unsupported = unsupportedFilter(filter);
    if (unsupported !== undefined)
      context.warn([...path, at], `${unsupported} is not supported: the requests get 500`);
    const mirror = filter.requestMirror?.backendRef;
    const here = [...path, at, 'requestMirror', 'backendRef'];
    if (mirror !== undefined) checkTarget(route, mirror, here, 'nothing is mirrored', context);
    const { externalAuth } = filter;
    if (externalAuth?.protocol === 'HTTP') {
      const there = [...path, at, 'externalAuth', 'backendRef'];
      checkTarget(route, externalAuth.backendRef, there, 'the requests get 500', context);
    }
  }
}

function checkTarget(
  { metadata }: HttpRoute,
  target: BackendTarget,
  path: Path,
  effect: string,
  context: ReferenceContext,
): void {
  const { service, invalid } = checkBackend(target, metadata, {
    index: context,
    knownServices: context.knownServices,
  });
  if (invalid === undefined) return;
  const meant =
    invalid.reason === 'BackendNotFound' && !context.knownServices.has(service) ? context.meant(service) : '';
  context.warn(path, `${invalid.message}${meant}: until then ${effect}`);
}
