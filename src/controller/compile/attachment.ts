/** How a route hangs on a service: on all of its ports or on some, or not, because it names a port that is not there. */
import { type HttpRoute, type ParentRef, parentService } from '../resources/http-route.ts';
import type { Metadata } from '../resources/resource.ts';
import type { ServiceSpecs } from './resource-graph.ts';

export type Attachment =
  /** `port` undefined: all of them. */
  | { readonly attached: true; readonly service: string; readonly port: number | undefined }
  | { readonly attached: false; readonly service: string; readonly why: string };

/** Undefined for a parent that is no service of a mesh. */
export function attach(parent: ParentRef, metadata: Metadata, index: ServiceSpecs): Attachment | undefined {
  const service = parentService(parent, metadata);
  if (service === undefined) return undefined;
  const ports = index.serviceSpec(service)?.ports ?? [];
  const { sectionName, port } = parent;
  if (sectionName !== undefined) {
    const named = ports.find(({ name }) => name === sectionName);
    if (named === undefined)
      return { attached: false, service, why: `${service} has no port named ${sectionName}` };
    if (port !== undefined && named.port !== port) {
      return {
        attached: false,
        service,
        why: `port ${sectionName} of ${service} is ${named.port}, not ${port}`,
      };
    }
    return { attached: true, service, port: named.port };
  }
  if (port !== undefined && ports.length > 0 && !ports.some((one) => one.port === port)) {
    return { attached: false, service, why: `${service} has no port ${port}` };
  }
  return { attached: true, service, port };
}

/** The ports of a service that a route holds for, `undefined` for all; none if it is not attached to it. */
export function attachedPorts(
  route: HttpRoute,
  service: string,
  index: ServiceSpecs,
): readonly (number | undefined)[] {
  const ports = new Set<number | undefined>();
  for (const parent of route.spec.parentRefs ?? []) {
    const attachment = attach(parent, route.metadata, index);
    if (attachment?.attached && attachment.service === service) ports.add(attachment.port);
  }
  return [...ports];
}
