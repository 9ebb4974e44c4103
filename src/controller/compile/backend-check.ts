/** Whether a backendRef leads anywhere (HTTPROUTE.md A5): what status says and snapshots do is one decision. */
import { isServiceName } from '../../protocol/names.ts';
import { type BackendTarget, backendService } from '../resources/http-route.ts';
import type { Metadata } from '../resources/resource.ts';
import type { ServiceSpecs } from './resource-graph.ts';

export interface BackendCheck {
  /** `orders.shop`; of what is no service, what was written. */
  readonly service: string;
  /** Absent if it can be used. */
  readonly invalid?: { readonly reason: 'InvalidKind' | 'BackendNotFound'; readonly message: string };
}

/** What backends are judged by. `knownServices` are those that agents have announced. */
export interface Known {
  readonly index: ServiceSpecs;
  readonly knownServices: ReadonlySet<string>;
}

export function checkBackend(target: BackendTarget, metadata: Metadata, known: Known): BackendCheck {
  const service = backendService(target, metadata);
  if (service === undefined) {
    const { group = '', kind = 'Service', name } = target;
    const written = `${group === '' ? '' : `${group}/`}${kind} ${name}`;
    return { service: written, invalid: { reason: 'InvalidKind', message: `${written} is no Service` } };
  }
  const spec = known.index.serviceSpec(service);
  if (!isServiceName(service) || (spec === undefined && !known.knownServices.has(service))) {
    return { service, invalid: { reason: 'BackendNotFound', message: `${service} is not known` } };
  }
  const ports = spec?.ports ?? [];
  if (ports.length > 0 && target.port !== undefined && !ports.some(({ port }) => port === target.port)) {
    return {
      service,
      invalid: { reason: 'BackendNotFound', message: `${service} has no port ${target.port}` },
    };
  }
  return { service };
}
