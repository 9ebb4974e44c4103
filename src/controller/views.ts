/** What the controller tells of resources, agents, endpoints and services. It reads what others keep, and changes nothing. */
import type { AgentView, ApiVerbs, EndpointView, ResourceDocument, ServiceView } from '../protocol/api.ts';
import type { WorkloadReport } from '../protocol/heartbeat.ts';
import { aliasTarget } from './compile/alias.ts';
import type { Applied } from './compile/condition.ts';
import { parentsOf } from './compile/resource-graph.ts';
import { type RouteStatus, resourceStatus, routeStatus } from './compile/status.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import { createHoldings, isLostLately, revisionHeld } from './holdings.ts';
import { type Listed, listKey } from './paging.ts';
import type { Policy } from './policy.ts';
import type { Publisher } from './publisher.ts';
import { isAuthorizationPolicy, policyTarget } from './resources/authorization-policy.ts';
import { isHttpRoute } from './resources/http-route.ts';
import { type Resource, resourceKey } from './resources/resource.ts';
import { aliasesOf, serviceName } from './resources/service.ts';
import { isTrafficPolicy } from './resources/traffic-policy.ts';
import type { StoredResource } from './store.ts';

export interface ViewOptions {
  readonly fleet: Fleet;
  readonly policy: Policy;
  readonly publisher: Publisher;
  readonly agentLeaseMs: number;
  readonly wallMs: () => number;
}

/** In the place of a service. */
const WHOLE_MESH = '';

export type Views = ReturnType<typeof createViews>;

export function createViews({ fleet, policy, publisher, agentLeaseMs, wallMs }: ViewOptions) {
  /** What was said last: conditions that stay keep their time. */
  const said = new Map<string, object>();

  const holdings = createHoldings({ fleet, publisher, wallMs });
  const appliedOf = (names: readonly string[]): Applied =>
    holdings.progress(
      names.flatMap((name) => {
        const revision = publisher.revisionOf(name);
        return revision === undefined ? [] : [[name, revision] as const];
      }),
    );

  /** Where what a resource that is no route says is published: of a service also under each of its aliases. */
  const publishedAs = (resource: Resource): readonly string[] => {
    if (isAuthorizationPolicy(resource)) {
      const target = policyTarget(resource);
      return target === undefined ? publisher.services('snapshot') : [target];
    }
    if (isTrafficPolicy(resource)) return [policyTarget(resource) ?? ''];
    return [serviceName(resource), ...aliasesOf(resource).map(({ name }) => name)];
  };

  const statusOf = (resource: Resource, generation: number): object => {
    const key = resourceKey(resource);
    const previous = said.get(key);
    const known = {
      index: policy.graph,
      knownServices: fleet.services,
      generation,
      nowMs: wallMs(),
      appliedOf: (service: string) => appliedOf([service]),
    };
    const status = isHttpRoute(resource)
      ? routeStatus(resource, known, previous as RouteStatus | undefined)
      : resourceStatus(
          resource,
          { ...known, applied: appliedOf(publishedAs(resource)) },
          (previous as ReturnType<typeof resourceStatus> | undefined)?.conditions,
        );
    said.set(key, status);
    return status;
  };

  const agentView = (record: AgentRecord): AgentView => {
    const held = Object.entries(record.applied).filter(
      ([, revision]) => revisionHeld(revision) !== undefined,
    );
    const rivals = fleet.rivals(record);
    const served = new Set(record.workloads.map(({ service }) => service));
    const callers = [...record.speaksFor].filter((service) => !served.has(service)).sort();
    const astray = holdings.astray(record);
    return {
      agent: record.agent,
      state: record.state,
      since: timeOf(record.sinceMs),
      release: record.release,
      skewMs: record.skewMs,
      identityExpires: record.expiresAtMs === 0 ? '' : timeOf(record.expiresAtMs),
      workloads: record.workloads,
      ...(callers.length === 0 ? {} : { callers }),
      applied: Object.fromEntries(held),
      behind: holdings.behind(record),
      ...(astray.length === 0 ? {} : { astray }),
      ...(rivals === 0 ? {} : { rivals }),
    };
  };

  const serviceView = (service: string): ServiceView => {
    const serving = fleet.serving(service);
    return {
      service,
      revision: publisher.revisionOf(service) ?? null,
      endpoints: serving.length,
      ready: serving.filter(({ workloads }) =>
        workloads.some((one) => one.service === service && one.state === 'ready'),
      ).length,
      routes: policy.graph
        .routesOf(service)
        .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
        .sort(),
    };
  };

  const endpointView = (record: AgentRecord, workload: WorkloadReport): EndpointView => {
    const view = {
      ...workload,
      host: record.agent,
      applied: revisionHeld(record.applied[workload.service]) ?? null,
    };
    if (record.state === 'connected') return view;
    const silentMs = wallMs() - record.sinceMs + agentLeaseMs;
    const reason = `agent ${record.agent} has not been heard for ${Math.round(silentMs / 1000)} s`;
    return { ...view, state: 'lost', sinceMs: record.sinceMs, reason };
  };

  /** What is declared, served, or was until lately; and what routes or policies are about. */
  const serviceNames = (): Set<string> => {
    const names = new Set<string>();
    for (const record of fleet.agents.values()) {
      if (record.state !== 'connected' && !isLostLately(record, wallMs())) continue;
      for (const workload of record.workloads) names.add(workload.service);
    }
    for (const [, { resource }] of policy.resources.all()) {
      if (resource.kind === 'Service') names.add(serviceName(resource));
      else if (isHttpRoute(resource)) for (const name of parentsOf(resource)) names.add(name);
      else names.add(policyTarget(resource) ?? WHOLE_MESH);
    }
    names.delete(WHOLE_MESH);
    // One that is down is still one for its routes.
    for (const name of fleet.services) {
      if (policy.graph.routesReferring(name).length > 0) names.add(name);
    }
    // Of resources that are gone, what is published says of what they were.
    if (policy.lost === undefined && policy.doubt === undefined) return names;
    const context = { index: policy.graph, knownServices: fleet.services };
    for (const name of publisher.services('snapshot')) {
      // Names that are or were aliases are published too, and are no services.
      if (publisher.tells(name) && aliasTarget(name, context) === undefined) names.add(name);
    }
    return names;
  };

  return Object.freeze({
    holdings,

    document: ({ resource, revision }: StoredResource<Resource>): ResourceDocument => ({
      ...resource,
      metadata: { ...resource.metadata, revision },
      status: statusOf(resource, revision),
    }),

    resources({ kind, namespace, name }: ApiVerbs['get']['request']): Listed<ResourceDocument>[] {
      const found: Listed<ResourceDocument>[] = [];
      for (const key of said.keys()) if (policy.resources.get(key) === undefined) said.delete(key);
      for (const [, stored] of policy.resources.all()) {
        const { resource } = stored;
        if (kind !== undefined && resource.kind !== kind) continue;
        if (namespace !== undefined && resource.metadata.namespace !== namespace) continue;
        if (name !== undefined && resource.metadata.name !== name) continue;
        const key = listKey(resource.kind, resource.metadata.namespace, resource.metadata.name);
        found.push({ key, make: () => this.document(stored) });
      }
      return found;
    },

    agents(agent: string | undefined): Listed<AgentView>[] {
      const records = [...fleet.agents.values()].filter((one) => agent === undefined || one.agent === agent);
      return records.map((record) => ({ key: record.agent, make: () => agentView(record) }));
    },

    /** Those of an agent that fell silent are told of for a while. */
    endpoints(service: string | undefined): Listed<EndpointView>[] {
      const found: Listed<EndpointView>[] = [];
      for (const record of fleet.agents.values()) {
        if (record.state !== 'connected' && !isLostLately(record, wallMs())) continue;
        for (const workload of record.workloads) {
          if (service !== undefined && workload.service !== service) continue;
          found.push({
            key: listKey(workload.service, record.agent),
            make: () => endpointView(record, workload),
          });
        }
      }
      return found;
    },

    services(service: string | undefined): Listed<ServiceView>[] {
      const names = serviceNames();
      const wanted = service === undefined ? [...names] : names.has(service) ? [service] : [];
      return wanted.map((name) => ({ key: name, make: () => serviceView(name) }));
    },
  });
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
