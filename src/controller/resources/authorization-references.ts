/** What of an AuthorizationPolicy is taken but probably not meant: what can never match, and what is left open beside it. */
import type { FieldPath } from '../../protocol/config-fault.ts';
import { inNamespace } from '../../protocol/names.ts';
import {
  type AuthorizationPolicy,
  policySpec,
  policyTarget,
  type RawCallerMatch,
  type RawRequestMatch,
} from './authorization-policy.ts';
import { backendService, isHttpRoute, parentService, rulesOf, targetsOf } from './http-route.ts';
import type { ReferenceContext } from './references.ts';
import type { Resource } from './resource.ts';

/**
 * @param after all resources as they will be stored
 * @param mesh whose callers there are; undefined if that is not known
 */
export function checkAuthorizationReferences(
  resource: AuthorizationPolicy,
  after: Iterable<Resource>,
  mesh: string | undefined,
  context: ReferenceContext,
): void {
  const { warn } = context;
  const { action, rules } = policySpec(resource);
  checkRoutes(resource, after, context);
  if (rules.length === 0) {
    warn(
      ['spec', 'rules'],
      action === 'ALLOW' ? 'without a rule it allows nothing' : 'without a rule it never matches',
    );
  }
  for (const [at, { from = [], to = [] }] of rules.entries()) {
    const rule = ['spec', 'rules', at];
    for (const [entry, match] of from.entries()) {
      checkCaller(match, [...rule, 'from', entry], resource.metadata.namespace, mesh, context);
    }
    const paths = to.flatMap((match) => match.paths ?? []);
    for (const [entry, match] of to.entries()) {
      checkRequest(match, [...rule, 'to', entry], context);
      if (action !== 'DENY') continue;
      for (const [index, path] of (match.paths ?? []).entries()) {
        const above = path.endsWith('/*') && path.length > 2 ? path.slice(0, -2) : undefined;
        if (above !== undefined && !paths.includes(above) && !paths.includes(`${above}*`)) {
          warn(
            [...rule, 'to', entry, 'paths', index],
            `${above} itself is not denied: name it too if it should be`,
          );
        }
      }
    }
  }
}

function checkCaller(
  match: RawCallerMatch,
  path: FieldPath,
  namespace: string,
  mesh: string | undefined,
  { knownServices, meant, warn }: ReferenceContext,
): void {
  const { services = [], namespaces, notNamespaces, principals = [], notPrincipals = [] } = match;
  for (const [at, written] of services.entries()) {
    const service = inNamespace(written, namespace);
    if (!knownServices.has(service)) {
      warn([...path, 'services', at], `service ${service} is not known yet${meant(service)}`);
    }
  }
  for (const [field, all] of Object.entries({ principals, notPrincipals })) {
    for (const [at, principal] of all.entries()) {
      if (mesh === undefined || canBeOf(principal, mesh)) continue;
      const ids = `spiffe://${mesh}/ns/NAMESPACE/sa/SERVICE`;
      warn([...path, field, at], `it fits nobody: the callers of this mesh are ${ids}`);
    }
  }
  never(path, 'principals', match.principals, notPrincipals, warn);
  never(path, 'namespaces', namespaces, notNamespaces, warn);
}

function checkRequest(
  { methods, notMethods, paths, notPaths }: RawRequestMatch,
  path: FieldPath,
  { warn }: ReferenceContext,
) {
  never(path, 'methods', methods, notMethods, warn);
  never(path, 'paths', paths, notPaths, warn);
}

/** Warns if everything that is named is left out again. */
function never(
  path: FieldPath,
  field: string,
  named: readonly string[] | undefined,
  out: readonly string[] | undefined,
  warn: ReferenceContext['warn'],
): void {
  if (named?.every((one) => out?.includes(one))) {
    warn([...path, field], 'it never matches: all that it names is left out again');
  }
}

/** Whether some workload of the mesh can have a principal like that. */
function canBeOf(principal: string, mesh: string): boolean {
  if (principal === 'anonymous' || principal.startsWith('*')) return true;
  const fixed = `spiffe://${mesh}/ns/`;
  const open = principal.endsWith('*');
  const text = open ? principal.slice(0, -1) : principal;
  if (open && text.length <= fixed.length) return fixed.startsWith(text);
  const label = '[a-z0-9-]+';
  const rest = open ? `(?:${label}(?:/(?:s|sa|sa/[a-z0-9-]*)?)?)?` : `${label}/sa/${label}`;
  return text.startsWith(fixed) && new RegExp(`^${rest}$`).test(text.slice(fixed.length));
}

/** A policy holds for the service that serves a request, not for the one whose route sends it there. */
function checkRoutes(
  resource: AuthorizationPolicy,
  after: Iterable<Resource>,
  { warn }: ReferenceContext,
): void {
  const target = policyTarget(resource);
  if (target === undefined) return;
  for (const route of after) {
    if (!isHttpRoute(route)) continue;
    const parents = (route.spec.parentRefs ?? []).map((parent) => parentService(parent, route.metadata));
    if (!parents.includes(target)) continue;
    const others = new Set<string>();
    for (const rule of rulesOf(route)) {
      for (const one of targetsOf(rule)) {
        const backend = backendService(one, route.metadata);
        if (backend !== undefined && backend !== target) others.add(backend);
      }
    }
    if (others.size === 0) continue;
    const where = `HTTPRoute ${route.metadata.namespace}/${route.metadata.name}`;
    warn(
      ['spec', 'targetRef', 'name'],
      `${where} sends requests for ${target} to ${[...others].sort().join(', ')}, for which this policy does not hold`,
    );
  }
}
