/** What the controller tells of resources, agents, endpoints and services. It reads what others keep, and changes nothing. */
import type { AgentView, ApiVerbs, EndpointView, ResourceDocument, ServiceView } from '../protocol/api.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../protocol/revision.ts';
import { aliasTarget } from './compile/alias.ts';
import type { Applied } from './compile/condition.ts';
import { type RouteStatus, resourceStatus, routeStatus } from './compile/status.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import { type Listed, listKey } from './paging.ts';
import type { Policy } from './policy.ts';
import type { Publisher } from './publisher.ts';
import { isAuthorizationPolicy, policyTarget } from './resources/authorization-policy.ts';
import { isHttpRoute } from './resources/http-route.ts';
import { type Resource, resourceKey } from './resources/resource.ts';
import { aliasesOf, serviceName } from './resources/service.ts';
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

  const applied = (service: string, revision: Revision | undefined): Applied =>
    revision === undefined ? { applied: 0, of: 0 } : appliedAll([[service, revision]]);

  /** Of the agents that hold any of these, those whose held ones are all at their revision. */
  const appliedAll = (wanted: readonly (readonly [name: string, revision: Revision])[]): Applied => {
    let count = 0;
    let of = 0;
    for (const { state, applied: held } of fleet.agents.values()) {
      const has = wanted.filter(([name]) => held[name] !== undefined);
      if (state !== 'connected' || has.length === 0) continue;
      of += 1;
      if (has.every(([name, revision]) => compareRevisions(held[name]!, revision) >= 0)) count += 1;
    }
    return { applied: count, of };
  };

  /** Where what a resource that is no route says is published: of a service also under each of its aliases. */
  const publishedAs = (resource: Resource): readonly string[] => {
    if (isAuthorizationPolicy(resource)) {
      const target = policyTarget(resource);
      return target === undefined ? publisher.services('snapshot') : [target];
    }
    return [serviceName(resource), ...aliasesOf(resource).map(({ name }) => name)];
  };

  const appliedOfResource = (resource: Resource): Applied => {
    return appliedAll(
      publishedAs(resource).flatMap((name) => {
        const revision = publisher.revisionOf(name);
        return revision === undefined ? [] : [[name, revision] as const];
      }),
    );
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
          { ...known, applied: appliedOfResource(resource) },
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

  const agentView = (record: AgentRecord): AgentView => {
    const held = Object.entries(record.applied).filter(
      ([, revision]) => revisionHeld(revision) !== undefined,
    );
    const rivals = fleet.rivals(record);
    return {
      agent: record.agent,
      state: record.state,
      since: timeOf(record.sinceMs),
      release: record.release,
      skewMs: record.skewMs,
      identityExpires: record.expiresAtMs === 0 ? '' : timeOf(record.expiresAtMs),
      workloads: record.workloads,
      applied: Object.fromEntries(held),
      behind: behind(record),
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

  return Object.freeze({
    applied,
    behind,

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

    endpoints(service: string | undefined): Listed<EndpointView>[] {
      const found: Listed<EndpointView>[] = [];
      for (const { agent, state, workloads, applied: held } of fleet.agents.values()) {
        if (state !== 'connected') continue;
        for (const workload of workloads) {
          if (service !== undefined && workload.service !== service) continue;
          const view = { ...workload, host: agent, applied: revisionHeld(held[workload.service]) ?? null };
          found.push({ key: listKey(workload.service, agent), make: () => view });
        }
      }
      return found;
    },

    services(service: string | undefined): Listed<ServiceView>[] {
      const context = { index: policy.graph, knownServices: fleet.services };
      const published = publisher.services('snapshot').filter((name) => {
        // Names that are or were aliases are published too, and are no services.
        return publisher.tells(name) && aliasTarget(name, context) === undefined;
      });
      const names = new Set([...fleet.services, ...published]);
      for (const [, { resource }] of policy.resources.all()) {
        if (resource.kind === 'Service') names.add(serviceName(resource));
      }
      const wanted = service === undefined ? [...names] : names.has(service) ? [service] : [];
      return wanted.map((name) => ({ key: name, make: () => serviceView(name) }));
    },
  });
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** Undefined of a service of which an agent would take a snapshot, and holds none. */
function revisionHeld(revision: Revision | undefined): Revision | undefined {
  return revision === undefined || compareRevisions(revision, NO_REVISION) === 0 ? undefined : revision;
}
