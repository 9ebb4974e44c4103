/**
 * Which resources concern which service. Kept up to date one change at a time, so that a change costs what it touches
 * and not the size of the mesh.
 */
import {
  backendService,
  type HttpRoute,
  isHttpRoute,
  parentService,
  rulesOf,
  targetsOf,
} from '../resources/http-route.ts';
import { type Resource, resourceKey } from '../resources/resource.ts';
import { type ServiceSpec, serviceName } from '../resources/service.ts';

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
}

export interface ResourceGraph extends CompileIndex {
  /** Services whose snapshots a change makes different: of creation, change or deletion. Nothing is changed yet. */
  servicesTouchedBy(before: Resource | undefined, after: Resource | undefined): Set<string>;
  /** Services whose snapshots name the service as a backend: they change when it becomes known or unknown. */
  servicesReferring(service: string): Set<string>;
  /** Takes a change in; returns what it touches. */
  change(before: Resource | undefined, after: Resource | undefined): Set<string>;
}

export function createCompileIndex(resources: Iterable<Resource>): ResourceGraph {
  const attached = new Map<string, Map<string, HttpRoute>>();
  const referring = new Map<string, Map<string, HttpRoute>>();
  const services = new Map<string, ServiceSpec>();

  const routesReferring = (service: string) => [...(referring.get(service)?.values() ?? [])];
  const servicesReferring = (service: string) =>
    new Set(routesReferring(service).flatMap((route) => [...parentsOf(route)]));

  const servicesTouchedBy = (before: Resource | undefined, after: Resource | undefined) => {
    const touched = new Set<string>();
    for (const resource of [before, after]) {
      if (resource === undefined) continue;
      if (isHttpRoute(resource)) for (const service of parentsOf(resource)) touched.add(service);
    }
    const service = [before, after].find((resource) => resource?.kind === 'Service');
    if (service !== undefined && portsOf(before) !== portsOf(after)) {
      touched.add(serviceName(service));
      for (const other of servicesReferring(serviceName(service))) touched.add(other);
    }
    return touched;
  };

  const take = (resource: Resource) => {
    if (resource.kind === 'Service') services.set(serviceName(resource), resource.spec as ServiceSpec);
    if (!isHttpRoute(resource)) return;
    const key = resourceKey(resource);
    for (const service of parentsOf(resource)) entry(attached, service).set(key, resource);
    for (const service of backendsOf(resource)) entry(referring, service).set(key, resource);
  };

  const drop = (resource: Resource) => {
    if (resource.kind === 'Service') services.delete(serviceName(resource));
    if (!isHttpRoute(resource)) return;
    const key = resourceKey(resource);
    for (const service of parentsOf(resource)) remove(attached, service, key);
    for (const service of backendsOf(resource)) remove(referring, service, key);
  };

  for (const resource of resources) take(resource);

  return Object.freeze({
    routesOf: (service: string) => [...(attached.get(service)?.values() ?? [])],
    routesReferring,
    serviceSpec: (service: string) => services.get(service),
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

/** What of a Service is seen in snapshots: that it is there, and its ports. */
function portsOf(resource: Resource | undefined): string | undefined {
  return resource?.kind === 'Service'
    ? JSON.stringify((resource.spec as ServiceSpec).ports ?? [])
    : undefined;
}

function entry(map: Map<string, Map<string, HttpRoute>>, service: string): Map<string, HttpRoute> {
  let routes = map.get(service);
  if (routes === undefined) {
    routes = new Map();
    map.set(service, routes);
  }
  return routes;
}

function remove(map: Map<string, Map<string, HttpRoute>>, service: string, key: string): void {
  const routes = map.get(service);
  routes?.delete(key);
  if (routes?.size === 0) map.delete(service);
}
