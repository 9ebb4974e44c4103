/** What is under way in an agent, and what it shows of itself as metrics. */
import { LIMITS } from '../protocol/limits.ts';
import type { ControlPlane } from './control/control-plane.ts';
import type { Workloads } from './health/workloads.ts';
import type { InboundProxy } from './inbound/proxy.ts';
import type { Upstream } from './inbound/upstream.ts';
import type { Link } from './link/link.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Door } from './outbound/door.ts';

export interface OpenWorkParts {
  readonly doors: readonly Door[];
  readonly inbound: InboundProxy;
  readonly link: Link;
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

export type OpenWork = ReturnType<typeof createOpenWork>;

export function createOpenWork({ doors, inbound, link, upstreams }: OpenWorkParts) {
  /** All zero when nothing is under way. */
  function counts() {
    const { opened, served } = link.counts();
    let outboundRequests = 0;
    let mirrorCopies = 0;
    let downstreamConnections = 0;
    let upstreamConnections = 0;
    for (const door of doors) {
      outboundRequests += door.proxy.active.size;
      mirrorCopies += door.proxy.mirrors.size;
      downstreamConnections += door.connections;
    }
    for (const { pools } of upstreams.values()) {
      for (const pool of pools) upstreamConnections += pool.connections;
    }
    return {
      outboundRequests,
      mirrorCopies,
      inboundRequests: inbound.active.size,
      streamsOpened: opened,
      streamsServed: served,
      downstreamConnections,
      upstreamConnections,
    };
  }

  return Object.freeze({
    counts,
    /** True while a request of others is answered here. */
    serves: () => inbound.active.size + link.counts().served > 0,
    /** True while any request is under way; idle connections are none. */
    busy() {
      const { downstreamConnections: _down, upstreamConnections: _up, ...live } = counts();
      return Object.values(live).some((count) => count > 0);
    },
  });
}

export interface GaugeParts {
  readonly metrics: AgentMetrics;
  readonly work: OpenWork;
  readonly link: Link;
  readonly control: ControlPlane;
  readonly workloads: Workloads;
  /** When the identity of this agent ends, ms. */
  identityExpiresMs(): number;
}

/** Metrics that are looked up when somebody asks for them. */
export function addGauges({ metrics, work, link, control, workloads, identityExpiresMs }: GaugeParts): void {
  for (const name of Object.keys(work.counts()) as (keyof ReturnType<OpenWork['counts']>)[]) {
    const unit = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    metrics.number(`weft_${unit}`, 'What is open now', () => work.counts()[name]);
  }
  metrics.number('weft_peers', 'Agent processes that packets have come from', () => link.counts().peers);
  metrics.number(
    'weft_identity_expiry_timestamp_seconds',
    'When the identity of this agent ends, in Unix time',
    () => identityExpiresMs() / 1000,
  );
  metrics.number('weft_bus_up', '1 while connected to NATS', () => (link.up ? 1 : 0));
  metrics.gauge('weft_publications_held', 'What is held of what the control plane publishes', 'kind', () => [
    ['snapshot', control.snapshots.heldCount],
    ['endpoints', control.lists.heldCount],
  ]);
  metrics.gauge('weft_snapshot_revision', 'Number of the snapshot that is applied', 'service', () =>
    Object.entries(control.snapshots.held())
      .slice(0, LIMITS.servicesInMetricsMax)
      .map(([service, [, number]]) => [service, number]),
  );
  metrics.gauge('weft_workload_healthy', '1 while the workload is ready', 'service', () =>
    workloads.reports().map(({ service, state }) => [service, state === 'ready' ? 1 : 0]),
  );
}
