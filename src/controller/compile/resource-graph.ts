/**
 * Which resources concern which service. Kept up to date one change at a time, so that a change costs what it touches
 * and not the size of the mesh.
 */
import {
  type AuthorizationPolicy,
  isAuthorizationPolicy,
  policyTarget,
} from '../resources/authorization-policy.ts';
import {
  backendService,
  type HttpRoute,
  isHttpRoute,
  parentService,
  rulesOf,
  targetsOf,
} from '../resources/http-route.ts';
import { type Resource, resourceKey } from '../resources/resource.ts';
import { aliasesOf, type ServiceSpec, serviceName } from '../resources/service.ts';
import { isTrafficPolicy, type TrafficPolicy } from '../resources/traffic-policy.ts';

/** What people have said of services. */
export interface ServiceSpecs {
  /** Undefined if nobody has written a Service for it. */
  serviceSpec(service: string): ServiceSpec | undefined;
}

/** What a compiler reads. */
export interface CompileIndex extends ServiceSpecs {
  /** Routes with a parentRef to the service, of all namespaces, in no order. */
  routesOf(service: string): readonly HttpRoute[];
  /** Routes that send or mirror requests to the service. */
  routesReferring(service: string): readonly HttpRoute[];
  /** Services that have a name as their alias, in the order of their names: whether it has an effect is not said. */
  aliasOwners(name: string): readonly string[];
  /** AuthorizationPolicies with the service or the whole mesh as their target, in no order. */
  policiesOf(service: string): readonly AuthorizationPolicy[];
  /** TrafficPolicies with the service as their target, in no order: the oldest holds. */
  trafficPoliciesOf(service: string): readonly TrafficPolicy[];
}

export interface ResourceGraph extends CompileIndex {
  /**
   * Services whose snapshots a change makes different: of creation, change or deletion. Nothing is changed yet. Of what is about
   * the whole mesh, those that resources name.
   */
  servicesTouchedBy(before: Resource | undefined, after: Resource | undefined): Set<string>;
  /** Names whose snapshots change when a service becomes known or unknown: its own if it is an alias, and those of its routes. */
  servicesReferring(service: string): Set<string>;
  /** Takes a change in; returns what it touches. */
  change(before: Resource | undefined, after: Resource | undefined): Set<string>;
}

/** In the place of a service. */
const WHOLE_MESH = '';

export function createCompileIndex(resources: Iterable<Resource>): ResourceGraph {
  const attached = new Map<string, Map<string, HttpRoute>>();
  const referring = new Map<string, Map<string, HttpRoute>>();
  const services = new Map<string, ServiceSpec>();
  const aliases = new Map<string, Set<string>>();
  /** By the service that they are about; `''`: the whole mesh. */
  const policies = new Map<string, Map<string, AuthorizationPolicy>>();

  const traffic = new Map<string, Map<string, TrafficPolicy>>();

  const routesReferring = (service: string) => [...(referring.get(service)?.values() ?? [])];
  const servicesReferring = (service: string) => {
    const names = new Set(routesReferring(service).flatMap((route) => [...parentsOf(route)]));
    return aliases.has(service) ? names.add(service) : names;
  };

  const servicesTouchedBy = (before: Resource | undefined, after: Resource | undefined) => {
    const touched = new Set<string>();
    for (const resource of [before, after]) {
      if (resource === undefined) continue;
      if (isHttpRoute(resource)) for (const service of parentsOf(resource)) touched.add(service);
      if (resource.kind === 'Service') for (const { name } of aliasesOf(resource)) touched.add(name);
      if (isTrafficPolicy(resource)) touched.add(policyTarget(resource) ?? WHOLE_MESH);
      if (!isAuthorizationPolicy(resource)) continue;
      const target = policyTarget(resource);
      if (target !== undefined) touched.add(target);
      else for (const name of [...attached.keys(), ...services.keys(), ...policies.keys()]) touched.add(name);
    }
    touched.delete(WHOLE_MESH);
    const service = [before, after].find((resource) => resource?.kind === 'Service');
    if (service !== undefined && seenOf(before) !== seenOf(after)) {
      touched.add(serviceName(service));
      for (const other of servicesReferring(serviceName(service))) touched.add(other);
    }
    return touched;
  };

  const take = (resource: Resource) => {
    if (resource.kind === 'Service') {
      const service = serviceName(resource);
      services.set(service, resource.spec as ServiceSpec);
      for (const { name } of aliasesOf(resource)) {
        aliases.set(name, (aliases.get(name) ?? new Set<string>()).add(service));
      }
    }
    const key = resourceKey(resource);
    if (isAuthorizationPolicy(resource))
      entry(policies, policyTarget(resource) ?? WHOLE_MESH).set(key, resource);
    if (isTrafficPolicy(resource)) entry(traffic, policyTarget(resource) ?? WHOLE_MESH).set(key, resource);
    if (!isHttpRoute(resource)) return;
    for (const service of parentsOf(resource)) entry(attached, service).set(key, resource);
    for (const service of backendsOf(resource)) entry(referring, service).set(key, resource);
  };

  const drop = (resource: Resource) => {
    if (resource.kind === 'Service') {
      const service = serviceName(resource);
      services.delete(service);
      for (const { name } of aliasesOf(resource)) {
        const owners = aliases.get(name);
        owners?.delete(service);
        if (owners?.size === 0) aliases.delete(name);
      }
    }
    const key = resourceKey(resource);
    if (isAuthorizationPolicy(resource)) remove(policies, policyTarget(resource) ?? WHOLE_MESH, key);
    if (isTrafficPolicy(resource)) remove(traffic, policyTarget(resource) ?? WHOLE_MESH, key);
    if (!isHttpRoute(resource)) return;
    for (const service of parentsOf(resource)) remove(attached, service, key);
    for (const service of backendsOf(resource)) remove(referring, service, key);
  };

  for (const resource of resources) take(resource);

  return Object.freeze({
    routesOf: (service: string) => [...(attached.get(service)?.values() ?? [])],
    routesReferring,
    serviceSpec: (service: string) => services.get(service),
    aliasOwners: (name: string) => [...(aliases.get(name) ?? [])].sort(),
    policiesOf: (service: string) => [
      ...(policies.get(service)?.values() ?? []),
      ...(policies.get(WHOLE_MESH)?.values() ?? []),
    ],
    trafficPoliciesOf: (service: string) => [...(traffic.get(service)?.values() ?? [])],
    servicesTouchedBy,
    servicesReferring,
    change: (before: Resource | undefined, after: Resource | undefined) => {
      const touched = servicesTouchedBy(before, after);
      if (before !== undefined) drop(before);
      if (after !== undefined) take(after);
      return touched;
    },
  });
}

/** The services that a route is attached to, by what it says; not whether they are there. */
export function parentsOf({ spec, metadata }: HttpRoute): Set<string> {
  const parents = (spec.parentRefs ?? []).map((parent) => parentService(parent, metadata));
  return new Set(parents.filter((service) => service !== undefined));
}

/** The services that a route sends or mirrors to by name. */
function backendsOf(route: HttpRoute): Set<string> {
  const services = new Set<string>();
  for (const rule of rulesOf(route)) {
    for (const target of targetsOf(rule)) {
      const service = backendService(target, route.metadata);
      if (service !== undefined) services.add(service);
    }
  }
  return services;
}

/** What of a Service is seen in the snapshots of its own name and of its routes: that it is there, ports, exposure. */
function seenOf(resource: Resource | undefined): string | undefined {
  if (resource?.kind !== 'Service') return undefined;
  const { ports = [], exposure = 'mesh' } = resource.spec as ServiceSpec;
  return JSON.stringify([ports, exposure]);
}

function entry<T>(map: Map<string, Map<string, T>>, service: string): Map<string, T> {
  let resources = map.get(service);
  if (resources === undefined) {
    resources = new Map();
    map.set(service, resources);
  }
  return resources;
}

function remove<T>(map: Map<string, Map<string, T>>, service: string, key: string): void {
  const resources = map.get(service);
  resources?.delete(key);
  if (resources?.size === 0) map.delete(service);
}
