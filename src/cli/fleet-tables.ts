/** Services, endpoints and agents as tables. */
import type { AgentView, EndpointView, IdentityView, OperatorView, ServiceView } from '../protocol/api.ts';
import type { Revision } from '../protocol/revision.ts';
import { ageText } from './age.ts';
import { tableText } from './table.ts';

export function servicesTable(items: readonly ServiceView[]): string {
  const rows = items.map(({ service, ready, endpoints, revision, routes }) => [
    service,
    `${ready}/${endpoints}`,
    revisionText(revision),
    routes.join(','),
  ]);
  return tableText(['service', 'ready', 'revision', 'routes'], rows);
}

export function endpointsTable(items: readonly EndpointView[], nowMs: number): string {
  const rows = items.map(({ service, host, state, sinceMs, applied, labels, reason }) => [
    service,
    host,
    state,
    ageText(sinceMs, nowMs),
    revisionText(applied),
    labelsText(labels),
    reason,
  ]);
  return tableText(['service', 'host', 'state', 'since', 'applied', 'labels', 'reason'], rows);
}

export function agentsTable(items: readonly AgentView[], nowMs: number): string {
  const rows = items.map((item) => {
    const { agent, state, since, release, skewMs, workloads, applied, behind, astray = [], rivals } = item;
    return [
      agent,
      rivals === undefined ? state : `${state}, ${rivals + 1} of this name`,
      ageText(Date.parse(since), nowMs),
      release,
      `${Math.round(skewMs)}ms`,
      `${workloads.filter((one) => one.state === 'ready').length}/${workloads.length}`,
      String(Object.keys(applied).length),
      [...behind, ...astray.map((service) => `${service} (not published)`)].join(','),
    ];
  });
  const heads = ['agent', 'state', 'since', 'release', 'skew', 'ready', 'snapshots', 'behind'];
  return tableText(heads, rows);
}

export function identitiesTable(items: readonly IdentityView[]): string {
  const rows = items.map(({ agent, state, expires, workloads, key }) => [
    agent,
    state,
    expires,
    workloads.join(','),
    key,
  ]);
  return tableText(['agent', 'state', 'expires', 'workloads', 'key'], rows);
}

export function operatorsTable(items: readonly OperatorView[]): string {
  const rows = items.map(({ name, role, state, expires, key }) => [name, role, state, expires, key]);
  return tableText(['operator', 'role', 'state', 'expires', 'key'], rows);
}

/** The number within the store: the other half of a revision says only when that was made. */
export function revisionText(revision: Revision | null): string {
  return revision === null ? 'none' : String(revision[1]);
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
