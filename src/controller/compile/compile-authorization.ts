/** The policies of a service, and those of the mesh, as its snapshot carries them. Pure. */
import type {
  Authorization,
  CallerMatch,
  DefaultAction,
  HeaderMatch,
  Policy,
  PolicyRule,
  RequestMatch,
} from '../../protocol/authorization/authorization.ts';
import { inNamespace } from '../../protocol/names.ts';
import {
  type AuthorizationPolicy,
  policySpec,
  type RawCallerMatch,
  type RawCondition,
  type RawHeaderMatch,
  type RawPolicyRule,
  type RawRequestMatch,
} from '../resources/authorization-policy.ts';
import { resourceKey } from '../resources/resource.ts';

/** What the resources alone do not say. */
export interface AuthorizationContext {
  readonly defaultAction: DefaultAction;
  /** Of a resource in the store, by `resourceKey`; 0 if it is not there yet. */
  revisionOf(key: string): number;
}

export const ALLOW_BY_DEFAULT: AuthorizationContext = Object.freeze({
  defaultAction: 'allow',
  revisionOf: () => 0,
});

/** @returns undefined if everybody may do everything: agents need not be told */
export function compileAuthorization(
  policies: readonly AuthorizationPolicy[],
  { defaultAction, revisionOf }: AuthorizationContext,
): Authorization | undefined {
  if (policies.length === 0 && defaultAction === 'allow') return undefined;
  const compiled = policies.map((policy) => compilePolicy(policy, revisionOf(resourceKey(policy))));
  return { defaultAction, policies: compiled.sort((a, b) => (a.policy < b.policy ? -1 : 1)) };
}

function compilePolicy(resource: AuthorizationPolicy, revision: number): Policy {
  const { namespace, name } = resource.metadata;
  const { action, rules } = policySpec(resource);
  return {
    policy: `${namespace}/${name}`,
    revision,
    action,
    rules: rules.map((rule, at) => compileRule(rule, at, namespace)),
  };
}

function compileRule({ name, from, to, when }: RawPolicyRule, at: number, namespace: string): PolicyRule {
  return {
    name: name ?? String(at),
    ...(from === undefined ? {} : { from: from.map((match) => compileCaller(match, namespace)) }),
    ...(to === undefined ? {} : { to: to.map(compileRequest) }),
    ...(when === undefined ? {} : { when: when.map(compileCondition) }),
  };
}

/** A service without a namespace is of the policy's own. */
function compileCaller({ services, ...match }: RawCallerMatch, namespace: string): CallerMatch {
  if (services === undefined) return match;
  return { services: services.map((service) => inNamespace(service, namespace)), ...match };
}

function compileRequest({ headers, ...match }: RawRequestMatch): RequestMatch {
  return headers === undefined ? match : { ...match, headers: headers.map(compileHeader) };
}

/** A name alone asks for the header to be there. */
function compileHeader({ name, values, present }: RawHeaderMatch): HeaderMatch {
  const wanted = present ?? (values === undefined ? true : undefined);
  return {
    name: name.toLowerCase(),
    ...(values === undefined ? {} : { values: values.map(bytesOf) }),
    ...(wanted === undefined ? {} : { present: wanted }),
  };
}

function compileCondition({ header, values, notValues }: RawCondition): HeaderMatch {
  return {
    name: header.toLowerCase(),
    ...(values === undefined ? {} : { values: values.map(bytesOf) }),
    ...(notValues === undefined ? {} : { notValues: notValues.map(bytesOf) }),
  };
}

/** Header lines are read byte by byte. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
