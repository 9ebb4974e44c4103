/** A name leads to one service: what of a change contradicts that is refused, in the Service or in the route. */
import { shownValue } from '../../protocol/config-fault.ts';
import { parentsOf } from '../compile/resource-graph.ts';
import { type HttpRoute, isHttpRoute, parentService } from './http-route.ts';
import type { ReferenceFault } from './references.ts';
import type { Resource } from './resource.ts';
import { aliasesOf, type ServiceSpec, serviceName } from './service.ts';

/** Who else has a name. */
interface Names {
  /** Services by what they have as an alias. */
  readonly owners: ReadonlyMap<string, readonly string[]>;
  /** A route by each of its parents. */
  readonly routes: ReadonlyMap<string, HttpRoute>;
  /** Services that somebody has declared, or agents have announced. */
  readonly known: ReadonlySet<string>;
}

/**
 * @param after all resources as they will be stored
 * @param known canonical names of the services that are declared or that agents have announced
 */
export function checkNames(
  changed: readonly Resource[],
  after: ReadonlyMap<string, Resource>,
  known: ReadonlySet<string>,
): ReferenceFault[] {
  const owners = new Map<string, string[]>();
  const routes = new Map<string, HttpRoute>();
  for (const resource of after.values()) {
    if (resource.kind === 'Service') {
      for (const { name } of aliasesOf(resource)) {
        owners.set(name, [...(owners.get(name) ?? []), serviceName(resource)]);
      }
    } else if (isHttpRoute(resource)) {
      for (const name of parentsOf(resource)) routes.set(name, resource);
    }
  }
  if (owners.size === 0) return [];
  return changed.flatMap((resource) => {
    if (resource.kind === 'Service') return serviceFaults(resource, { owners, routes, known });
    return isHttpRoute(resource) ? parentFaults(resource, owners) : [];
  });
}

function serviceFaults(resource: Resource, names: Names): ReferenceFault[] {
  const faults: ReferenceFault[] = [];
  const own = serviceName(resource);
  const [owner] = names.owners.get(own) ?? [];
  if (owner !== undefined) {
    const expected = `a name that is not an alias of ${owner} already`;
    const found = shownValue(resource.metadata.name);
    faults.push({ resource, path: ['metadata', 'name'], found, expected });
  }
  const written = (resource.spec as ServiceSpec).aliases ?? [];
  for (const { alias, name } of aliasesOf(resource)) {
    const expected = otherThan(name, own, names);
    if (expected === undefined) continue;
    const path = ['spec', 'aliases', written.indexOf(alias)];
    faults.push({ resource, path, found: shownValue(alias), expected });
  }
  return faults;
}

/** What is expected instead of an alias that somebody else has; undefined if nobody has it. */
function otherThan(name: string, own: string, { owners, routes, known }: Names): string | undefined {
  const other = owners.get(name)?.find((owner) => owner !== own);
  if (other !== undefined) return `a name that is not an alias of ${other} already`;
  if (known.has(name)) {
    return `a name that does not lead to ${name} already (an HTTPRoute of it can send its requests here; what no agent has served for a day is free)`;
  }
  const route = routes.get(name);
  if (route === undefined) return undefined;
  const { namespace, name: routeName } = route.metadata;
  return `a name without routes: HTTPRoute ${namespace}/${routeName} is attached to ${name}`;
}

function parentFaults(resource: HttpRoute, owners: Names['owners']): ReferenceFault[] {
  return (resource.spec.parentRefs ?? []).flatMap((parent, at) => {
    const service = parentService(parent, resource.metadata);
    const [owner] = owners.get(service ?? '') ?? [];
    if (owner === undefined) return [];
    const path = ['spec', 'parentRefs', at, 'name'];
    const expected = `${owner}, of which ${service} is an alias: routes are attached to services`;
    return [{ resource, path, found: shownValue(parent.name), expected }];
  });
}
