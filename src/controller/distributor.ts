/**
 * Publishes what follows from the resources and from the fleet, while this controller leads. Changes of the fleet are gathered
 * for a moment; snapshots and endpoint lists do not wait for each other.
 *
 * Invariants: G1 until heartbeats have been listened to for a whole lease, no endpoint list loses an agent and nothing is
 * concluded from a service being unknown, because whoever has just begun to listen knows nobody yet; G2 from a store that was
 * lost or is in doubt no snapshot follows: what agents have holds; G3 of every service that agents serve, or that resources
 * name, there is a snapshot, also if it says nothing: so an agent can tell one that was hidden from it; G4 of what one agent
 * says it holds, which may be invented, only so much is published.
 */
import { BoundedMap } from '../protocol/bounded-map.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../protocol/revision.ts';
import { publicationKey } from '../protocol/subjects.ts';
import type { Fleet } from './fleet.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
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
  const changedSnapshots = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  /** Whether everything was published once in this term, after settling. */
  let complete = false;
  let on = false;
  /** How much was taken back in this term because an agent said that it holds it. */
  let takenBack = new BoundedMap<string, number>(CONTROLLER_LIMITS.agentsMax);

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
        if (!leading() || policy.doubt !== undefined || policy.lost !== undefined) return;
        await publisher.snapshot(service, (revision) => policy.compile(service, revision));
        const revision = publisher.revisionOf(service);
        if (revision !== undefined) published.push({ service, revision });
      });
      return published;
    });

  const isNew = (service: string) => publisher.revisionOf(service) === undefined;

  const everySnapshot = () => {
    const services = new Set(publisher.services('snapshot'));
    for (const [, { resource }] of policy.resources.all()) {
      for (const service of policy.graph.servicesTouchedBy(undefined, resource)) services.add(service);
    }
    for (const service of fleet.services) if (isNew(service)) services.add(service);
    return [...services];
  };

  const flush = async (): Promise<void> => {
    timer = undefined;
    if (!on || !leading()) return;
    const endpoints = [...changedEndpoints];
    const snapshots = new Set(changedSnapshots);
    for (const service of changedKnown) {
      if (isNew(service)) snapshots.add(service);
      for (const referring of policy.graph.servicesReferring(service)) snapshots.add(referring);
    }
    changedEndpoints.clear();
    changedKnown.clear();
    changedSnapshots.clear();
    await Promise.all([publishEndpoints(endpoints), publishSnapshots([...snapshots])]).catch(failed);
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
    /** An agent says that it has these snapshots: what is not published any more is taken back, some of it (G4). */
    held(agent: string, applied: Readonly<Record<string, Revision>>): void {
      if (!complete || policy.doubt !== undefined || policy.lost !== undefined) return;
      for (const [name, revision] of Object.entries(applied)) {
        if (compareRevisions(revision, NO_REVISION) === 0 || !isNew(name)) continue;
        if (changedSnapshots.has(name)) continue;
        const count = takenBack.get(agent) ?? 0;
        if (count >= CONTROLLER_LIMITS.takenBackPerAgentMax) return;
        if (publisher.services('snapshot').length >= CONTROLLER_LIMITS.servicesMax) return;
        takenBack.set(agent, count + 1);
        changedSnapshots.add(name);
        gather();
      }
    },
    /** Publishes the snapshots of services, where they have changed. @returns all of them that are published */
    snapshots: publishSnapshots,

    /** A term of leading begins: policy and publisher have been loaded. */
    begin(): void {
      on = true;
      complete = false;
      takenBack = new BoundedMap(CONTROLLER_LIMITS.agentsMax);
      this.endpointsChanged(fleet.servedServices());
      this.sweep();
    },
    end(): void {
      on = false;
      clearTimeout(timer);
      timer = undefined;
      changedEndpoints.clear();
      changedKnown.clear();
      changedSnapshots.clear();
    },
    /** The resources may be other ones than before: everything is to be published once more. */
    reloaded(): void {
      complete = false;
    },
    /** To be called now and then: publishes everything once, as soon as that is allowed (G1, G2). */
    sweep(): void {
      if (!on || complete || !settled() || policy.doubt !== undefined) return;
      complete = true;
      this.endpointsChanged([...publisher.services('endpoints'), ...fleet.servedServices()]);
      publishSnapshots(everySnapshot()).catch(failed);
    },
    /**
     * Publishes again what somebody else has written over. @returns the keys of it
     * @throws an error of the client
     */
    audit: (): Promise<string[]> =>
      endpointsInTurn(() =>
        snapshotsInTurn(async () => {
          if (!on || !complete || !leading()) return [];
          const odd = await publisher.audit();
          for (const service of odd.endpoints) changedEndpoints.add(service);
          for (const service of odd.snapshot) changedSnapshots.add(service);
          gather();
          return (['endpoints', 'snapshot', 'trust'] as const).flatMap((kind) =>
            odd[kind].map((service) => publicationKey(kind, service)),
          );
        }),
      ),
  });
}

function losesSomebody(
  listed: ReadonlySet<string>,
  endpoints: readonly { readonly agent: string }[],
): boolean {
  const present = new Set(endpoints.map(({ agent }) => agent));
  return [...listed].some((agent) => !present.has(agent));
}
