/** What the controller tells of resources, agents, endpoints and services. It reads what others keep, and changes nothing. */
import type { AgentView, ApiVerbs, EndpointView, ResourceDocument, ServiceView } from '../protocol/api.ts';
import { compareRevisions, type Revision } from '../protocol/revision.ts';
import type { Applied } from './compile/condition.ts';
import { type RouteStatus, resourceStatus, routeStatus } from './compile/status.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import type { Policy } from './policy.ts';
import type { Publisher } from './publisher.ts';
import { isHttpRoute } from './resources/http-route.ts';
import { type Resource, resourceKey } from './resources/resource.ts';
import { serviceName } from './resources/service.ts';
import type { StoredResource } from './store.ts';

export interface ViewOptions {
  readonly fleet: Fleet;
  readonly policy: Policy;
  readonly publisher: Publisher;
  readonly wallMs: () => number;
}

export type Views = ReturnType<typeof createViews>;

export function createViews({ fleet, policy, publisher, wallMs }: ViewOptions) {
  /** What was said last: conditions that stay keep their time. */
  const said = new Map<string, object>();

  const applied = (service: string, revision: Revision | undefined): Applied => {
    if (revision === undefined) return { applied: 0, of: 0 };
    let count = 0;
    let of = 0;
    for (const { state, applied: held } of fleet.agents.values()) {
      const has = held[service];
      if (state !== 'connected' || has === undefined) continue;
      of += 1;
      if (compareRevisions(has, revision) >= 0) count += 1;
    }
    return { applied: count, of };
  };

  const statusOf = (resource: Resource, generation: number): object => {
    const key = resourceKey(resource);
    const previous = said.get(key);
    const appliedOf = (service: string) => applied(service, publisher.revisionOf(service));
    const known = {
      index: policy.graph,
      knownServices: fleet.services,
      generation,
      nowMs: wallMs(),
      appliedOf,
    };
    const status = isHttpRoute(resource)
      ? routeStatus(resource, known, previous as RouteStatus | undefined)
      : resourceStatus(
          resource,
          { generation, nowMs: wallMs(), applied: appliedOf(serviceName(resource)) },
          (previous as ReturnType<typeof resourceStatus> | undefined)?.conditions,
        );
    said.set(key, status);
    return status;
  };

  const behind = ({ applied: held }: AgentRecord): string[] =>
    Object.entries(held)
      .filter(([service, revision]) => {
        const published = publisher.revisionOf(service);
        return published !== undefined && compareRevisions(revision, published) < 0;
      })
      .map(([service]) => service)
      .sort();

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

  return Object.freeze({
    applied,
    behind,

    document: ({ resource, revision }: StoredResource<Resource>): ResourceDocument => ({
      ...resource,
      metadata: { ...resource.metadata, revision },
      status: statusOf(resource, revision),
    }),

    resources({ kind, namespace, name }: ApiVerbs['get']['request']): ResourceDocument[] {
      const found: ResourceDocument[] = [];
      for (const key of said.keys()) if (policy.resources.get(key) === undefined) said.delete(key);
      for (const [, stored] of policy.resources.all()) {
        const { resource } = stored;
        if (kind !== undefined && resource.kind !== kind) continue;
        if (namespace !== undefined && resource.metadata.namespace !== namespace) continue;
        if (name !== undefined && resource.metadata.name !== name) continue;
        found.push(this.document(stored));
      }
      return found.sort(byName);
    },

    agents(agent: string | undefined): AgentView[] {
      const records = [...fleet.agents.values()].filter((one) => agent === undefined || one.agent === agent);
      return records
        .map((record) => ({
          agent: record.agent,
          state: record.state,
          since: timeOf(record.sinceMs),
          release: record.release,
          skewMs: record.skewMs,
          identityExpires: record.expiresAtMs === 0 ? '' : timeOf(record.expiresAtMs),
          workloads: record.workloads,
          applied: record.applied,
          behind: behind(record),
        }))
        .sort((a, b) => compareText(a.agent, b.agent));
    },

    endpoints(service: string | undefined): EndpointView[] {
      const found: EndpointView[] = [];
      for (const { agent, state, workloads, applied: held } of fleet.agents.values()) {
        if (state !== 'connected') continue;
        for (const workload of workloads) {
          if (service !== undefined && workload.service !== service) continue;
          found.push({ ...workload, host: agent, applied: held[workload.service] ?? null });
        }
      }
      return found.sort((a, b) => compareText(a.service, b.service) || compareText(a.host, b.host));
    },

    services(service: string | undefined): ServiceView[] {
      const names = new Set([...fleet.services, ...publisher.services('snapshot')]);
      for (const [, { resource }] of policy.resources.all()) {
        if (resource.kind === 'Service') names.add(serviceName(resource));
      }
      if (service !== undefined) return names.has(service) ? [serviceView(service)] : [];
      return [...names].sort().map(serviceView);
    },
  });
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function byName(a: ResourceDocument, b: ResourceDocument): number {
  return (
    compareText(a.kind, b.kind) ||
    compareText(a.metadata.namespace ?? '', b.metadata.namespace ?? '') ||
    compareText(a.metadata.name, b.metadata.name)
  );
}
