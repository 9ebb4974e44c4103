/** Who serves a service, and in which state each of them is: compiled by the controller from heartbeats, and signed. */
import { isWorkloadState, type WorkloadState } from './heartbeat.ts';
import { isLabel, isServiceName } from './names.ts';
import { isRevision, type Revision } from './revision.ts';
import { arePublishedServiceKeys, type PublishedServiceKey } from './service-key.ts';

export interface Endpoint {
  readonly agent: string;
  /** Introduction of the agent's present process. */
  readonly document: string;
  readonly state: WorkloadState;
  readonly labels: Readonly<Record<string, string>>;
}

export interface EndpointList {
  readonly version: 1;
  readonly mesh: string;
  /** `orders.default` */
  readonly service: string;
  readonly revision: Revision;
  /** Public halves of the service's keys, oldest first; absent if the controller has none. */
  readonly keys?: readonly PublishedServiceKey[];
  readonly endpoints: readonly Endpoint[];
}

const ENDPOINTS_MAX = 10_000;

/** A list whose signature has been checked, if it is well formed and of this mesh; else undefined. */
export function readEndpointList(
  mesh: string,
  value: Readonly<Record<string, unknown>>,
): EndpointList | undefined {
  const list = value as Partial<EndpointList>;
  const sound =
    list.version === 1 &&
    list.mesh === mesh &&
    typeof list.service === 'string' &&
    isServiceName(list.service) &&
    isRevision(list.revision) &&
    (list.keys === undefined || arePublishedServiceKeys(list.keys)) &&
    Array.isArray(list.endpoints) &&
    list.endpoints.length <= ENDPOINTS_MAX &&
    list.endpoints.every(isEndpoint);
  return sound ? (list as EndpointList) : undefined;
}

function isEndpoint(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { agent, document, state, labels } = value as Partial<Endpoint>;
  return (
    typeof agent === 'string' &&
    isLabel(agent) &&
    typeof document === 'string' &&
    isWorkloadState(state) &&
    typeof labels === 'object' &&
    labels !== null
  );
}
