/**
 * Publishes what follows from the resources and from the fleet, while this controller leads. Changes of the fleet are gathered
 * for a moment; snapshots and endpoint lists do not wait for each other.
 *
 * Invariants: G1 until heartbeats have been listened to for a whole lease, no endpoint list loses an agent and nothing is
 * concluded from a service being unknown, because whoever has just begun to listen knows nobody yet; G2 a store that was
 * lost takes back no route that is published.
 */
import type { Revision } from '../protocol/revision.ts';
import type { Fleet } from './fleet.ts';
import type { Policy } from './policy.ts';
import type { Publisher } from './publisher.ts';
import { createSerial, inParallel } from './serial.ts';

export interface DistributorOptions {
  readonly fleet: Fleet;
  readonly policy: Policy;
  readonly publisher: Publisher;
  /** Whether this controller may write now. */
  readonly leading: () => boolean;
  readonly gatherMs: number;
  readonly settleMs: number;
  /** Something could not be published. */
  readonly failed: (error: unknown) => void;
}

export type Distributor = ReturnType<typeof createDistributor>;

/** Writes that wait for the bus's answer at the same time. */
const WIDTH = 32;

export function createDistributor(options: DistributorOptions) {
  const { fleet, policy, publisher, leading, gatherMs, settleMs, failed } = options;
  const endpointsInTurn = createSerial();
  const snapshotsInTurn = createSerial();
  const changedEndpoints = new Set<string>();
  const changedKnown = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  /** Whether everything was published once in this term, after settling. */
  let complete = false;
  let on = false;

  const settled = () => fleet.listenedMs >= settleMs;

  const publishEndpoints = (services: readonly string[]) =>
    endpointsInTurn(() =>
      inParallel(services, WIDTH, async (service) => {
        if (!leading()) return;
        const endpoints = fleet.endpoints(service);
        if (!settled() && losesSomebody(publisher.listed(service), endpoints)) return;
        await publisher.endpoints(service, endpoints);
      }),
    );

  const publishSnapshots = (
    services: readonly string[],
  ): Promise<{ service: string; revision: Revision }[]> =>
    snapshotsInTurn(async () => {
      const published: { service: string; revision: Revision }[] = [];
      await inParallel(services, WIDTH, async (service) => {
        if (!leading()) return;
        await publisher.snapshot(service, (revision) => policy.compile(service, revision));
        const revision = publisher.revisionOf(service);
        if (revision !== undefined) published.push({ service, revision });
      });
      return published;
    });

  const everySnapshot = () => {
    const services = new Set(policy.blank ? [] : publisher.services('snapshot'));
    for (const [, { resource }] of policy.resources.all()) {
      for (const service of policy.graph.servicesTouchedBy(undefined, resource)) services.add(service);
    }
    return [...services];
  };

  const flush = async (): Promise<void> => {
    timer = undefined;
    if (!on || !leading()) return;
    const endpoints = [...changedEndpoints];
    const known = [...changedKnown];
    changedEndpoints.clear();
    changedKnown.clear();
    const referring = new Set(known.flatMap((service) => [...policy.graph.servicesReferring(service)]));
    await Promise.all([publishEndpoints(endpoints), publishSnapshots([...referring])]).catch(failed);
  };
  const gather = () => {
    if (on) timer ??= setTimeout(flush, gatherMs);
  };

  return Object.freeze({
    /** Endpoints of these services may have changed. */
    endpointsChanged(services: Iterable<string>): void {
      // Whoever does not lead begins with everything when it does.
      if (!on) return;
      for (const service of services) changedEndpoints.add(service);
      gather();
    },
    /** These services have become known or unknown. */
    knownChanged(services: readonly string[]): void {
      if (!on) return;
      for (const service of services) changedKnown.add(service);
      gather();
    },
    /** Publishes the snapshots of services, where they have changed. @returns all of them that are published */
    snapshots: publishSnapshots,

    /** A term of leading begins: policy and publisher have been loaded. */
    begin(): void {
      on = true;
      complete = false;
      this.endpointsChanged(fleet.servedServices());
      this.sweep();
    },
    end(): void {
      on = false;
      clearTimeout(timer);
      timer = undefined;
      changedEndpoints.clear();
      changedKnown.clear();
    },
    /** To be called now and then: publishes everything once, as soon as that is allowed (G1). */
    sweep(): void {
      if (!on || complete || !settled()) return;
      complete = true;
      this.endpointsChanged([...publisher.services('endpoints'), ...fleet.servedServices()]);
      publishSnapshots(everySnapshot()).catch(failed);
    },
  });
}

function losesSomebody(
  listed: ReadonlySet<string>,
  endpoints: readonly { readonly agent: string }[],
): boolean {
  const present = new Set(endpoints.map(({ agent }) => agent));
  return [...listed].some((agent) => !present.has(agent));
}
