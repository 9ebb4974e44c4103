/** Stored routes that a changed Service takes something away from: their author does not see that change. */
import { serviceParts } from '../../protocol/names.ts';
import { attach } from '../compile/attachment.ts';
import { checkBackend } from '../compile/backend-check.ts';
import type { ServiceSpecs } from '../compile/resource-graph.ts';
import { type HttpRoute, isHttpRoute, rulesOf, targetsOf } from './http-route.ts';
import type { ReferenceWarning } from './references.ts';
import { keyOf, type Resource, resourceKey } from './resource.ts';
import { serviceName } from './service.ts';

/** Of all routes together: beyond that a warning says how many more there are. */
const ROUTES_NAMED_MAX = 20;

/**
 * @param before what is stored now, and `after` what will be, by `resourceKey`
 * @param known canonical names of the services that are declared, or that agents have announced
 */
export function brokenRoutes(
  changed: readonly Resource[],
  before: ReadonlyMap<string, Resource>,
  after: ReadonlyMap<string, Resource>,
  known: ReadonlySet<string>,
): ReferenceWarning[] {
  const services = changed.filter(({ kind }) => kind === 'Service');
  const names = new Set(services.map(serviceName));
  if (names.size === 0) return [];
  const told = new Set(changed.map(resourceKey));
  const broken = new Map<string, string[]>();
  for (const [key, route] of after) {
    if (!isHttpRoute(route) || told.has(key)) continue;
    const was = faultsOf(route, names, specsOf(before), known);
    for (const [fault, service] of faultsOf(route, names, specsOf(after), known)) {
      if (was.has(fault)) continue;
      const { namespace, name } = route.metadata;
      broken.set(service, [...(broken.get(service) ?? []), `HTTPRoute ${namespace}/${name}: ${fault}`]);
    }
  }
  return services.flatMap((resource) => {
    const faults = broken.get(serviceName(resource)) ?? [];
    const path = ['spec', 'ports'];
    const more = faults.length - ROUTES_NAMED_MAX;
    const warnings = faults.slice(0, ROUTES_NAMED_MAX).map((message) => ({ resource, path, message }));
    if (more > 0) warnings.push({ resource, path, message: `and ${more} more of that kind` });
    return warnings;
  });
}

/** What of a route leads nowhere because of the ports of these services; each with its service. */
function faultsOf(
  route: HttpRoute,
  names: ReadonlySet<string>,
  index: ServiceSpecs,
  knownServices: ReadonlySet<string>,
): Map<string, string> {
  const faults = new Map<string, string>();
  for (const parent of route.spec.parentRefs ?? []) {
    const attachment = attach(parent, route.metadata, index);
    if (attachment?.attached !== false || !names.has(attachment.service)) continue;
    faults.set(`it is attached no more: ${attachment.why}`, attachment.service);
  }
  for (const target of rulesOf(route).flatMap((rule) => [...targetsOf(rule)])) {
    const { service, invalid } = checkBackend(target, route.metadata, { index, knownServices });
    if (invalid === undefined || !names.has(service)) continue;
    faults.set(`${invalid.message}: what it sends there gets 500`, service);
  }
  return faults;
}

function specsOf(resources: ReadonlyMap<string, Resource>): ServiceSpecs {
  return {
    serviceSpec(service) {
      return resources.get(keyOf({ kind: 'Service', ...serviceParts(service) }))?.spec;
    },
  };
}
