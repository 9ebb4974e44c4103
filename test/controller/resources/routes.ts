import type { HttpRoute, HttpRouteSpec, RawRule } from '../../../src/controller/resources/http-route.ts';
import type { Metadata, Resource } from '../../../src/controller/resources/resource.ts';
import { type FieldFault, validateResource } from '../../../src/controller/resources/validate.ts';
import { fieldName } from '../../../src/protocol/config-fault.ts';

/** A route of `default` for the service `orders`. */
export function rawRoute(spec: object, metadata: object = {}): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'route', ...metadata },
    spec: { parentRefs: [{ group: '', kind: 'Service', name: 'orders' }], ...spec },
  };
}

export const ruleRoute = (rule: object) => rawRoute({ rules: [rule] });
export const matchRoute = (match: object) => ruleRoute({ matches: [match] });
export const filterRoute = (...filters: object[]) => ruleRoute({ filters });

export function faultsOf(value: unknown): readonly FieldFault[] {
  return validateResource(value).faults;
}

/** `spec.rules: found …, expected …` of every fault. */
export function said(value: unknown): string[] {
  return faultsOf(value).map(
    ({ path, found, expected }) => `${fieldName(path)}: found ${found}, expected ${expected}`,
  );
}

export function valid(value: unknown): Resource {
  const { resource, faults } = validateResource(value);
  if (resource === undefined) throw new Error(JSON.stringify(faults));
  return resource;
}

/** A validated route. */
export function route(spec: HttpRouteSpec, metadata: Partial<Metadata> = {}): HttpRoute {
  return valid(rawRoute(spec, metadata)) as HttpRoute;
}

export function service(name: string, spec: object = {}, namespace = 'default'): Resource {
  return valid({ apiVersion: 'weft.dev/v1', kind: 'Service', metadata: { name, namespace }, spec });
}

export const backend = (name: string, more: object = {}) => ({ name, port: 80, ...more });
export const toService = (name: string, more: object = {}) => ({ group: '', kind: 'Service', name, ...more });
export const rules = (...list: RawRule[]) => route({ rules: list });
