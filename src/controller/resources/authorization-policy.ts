import { patternFault } from '../../protocol/authorization/path-pattern.ts';
import type { Resource } from './resource.ts';
import type { Refuse } from './validate.ts';

/** An AuthorizationPolicy as the schema lets it pass. */
export interface AuthorizationPolicySpec {
  readonly targetRef: {
    readonly kind: 'Service' | 'Mesh';
    readonly name?: string;
    readonly namespace?: string;
  };
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT';
  readonly rules: readonly RawPolicyRule[];
}

export interface RawPolicyRule {
  readonly name?: string;
  readonly from?: readonly RawCallerMatch[];
  readonly to?: readonly RawRequestMatch[];
  readonly when?: readonly RawCondition[];
}

export interface RawCallerMatch {
  readonly services?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
}

export interface RawRequestMatch {
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
  readonly ports?: readonly number[];
  readonly headers?: readonly RawHeaderMatch[];
}

export interface RawHeaderMatch {
  readonly name: string;
  readonly values?: readonly string[];
  readonly present?: boolean;
}

export interface RawCondition {
  readonly header: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

export type AuthorizationPolicy = Resource & { readonly kind: 'AuthorizationPolicy' };

export function isAuthorizationPolicy(resource: Resource): resource is AuthorizationPolicy {
  return resource.kind === 'AuthorizationPolicy';
}

export function policySpec(resource: AuthorizationPolicy): AuthorizationPolicySpec {
  return resource.spec as unknown as AuthorizationPolicySpec;
}

/** The service that a policy of ours is about, `orders.shop`; undefined if it is about every one, or has no target. */
export function policyTarget({ spec, metadata }: Resource): string | undefined {
  const target = spec.targetRef as { kind: string; name?: string; namespace?: string } | undefined;
  if (target?.kind !== 'Service') return undefined;
  return `${target.name}.${target.namespace ?? metadata.namespace}`;
}

export function checkAuthorizationPolicy(
  { targetRef, rules }: AuthorizationPolicySpec,
  refuse: Refuse,
): void {
  if (targetRef.kind === 'Mesh') {
    for (const field of ['name', 'namespace'] as const) {
      if (targetRef[field] !== undefined)
        refuse(['spec', 'targetRef', field], 'nothing: kind Mesh is the whole mesh');
    }
  }
  const names = new Set<string>();
  for (const [at, { name, to = [] }] of rules.entries()) {
    if (name !== undefined && names.has(name)) refuse(['spec', 'rules', at, 'name'], 'each name once');
    // Rules without a name are known by their place.
    if (name !== undefined && /^\d+$/.test(name))
      refuse(['spec', 'rules', at, 'name'], 'a name with a letter in it');
    if (name !== undefined) names.add(name);
    for (const [entry, match] of to.entries()) {
      for (const field of ['paths', 'notPaths'] as const) {
        for (const [index, pattern] of (match[field] ?? []).entries()) {
          const expected = patternFault(pattern);
          if (expected !== undefined) refuse(['spec', 'rules', at, 'to', entry, field, index], expected);
        }
      }
    }
  }
}
