/** What this agent takes from the control plane: snapshots and endpoint lists, from the bus and from disk. */
import type { EndpointList } from '../../protocol/endpoint-list.ts';
import { readEndpointList } from '../../protocol/endpoint-list.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { readSnapshot } from '../../protocol/read-snapshot.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../../protocol/revision.ts';
import type { Snapshot } from '../../protocol/snapshot.ts';
import type { PublicationKind } from '../../protocol/subjects.ts';
import type { Bus } from '../link/bus.ts';
import { createIdentify, type Identify } from './identities.ts';
import type { PublicationRefusal } from './publication-check.ts';
import { Publications } from './publications.ts';
import type { SnapshotDisk } from './snapshot-disk.ts';

export interface ControlPlaneParts {
  readonly keyring: Keyring;
  readonly disk: SnapshotDisk | undefined;
  /** Services that are served here. */
  readonly served: ReadonlySet<string>;
  readonly now: () => number;
  readonly wallMs: () => number;
  readonly random: () => number;
  readonly refused: (kind: PublicationKind, reason: PublicationRefusal, details: string) => void;
  readonly fault: (error: unknown) => void;
}

export interface ControlPlane {
  readonly snapshots: Publications<Snapshot>;
  readonly lists: Publications<EndpointList>;
  readonly identify: Identify;
  attach(bus: Bus): void;
  /** The bus is back. */
  refresh(): void;
  detach(): void;
  /** Called every second or so. */
  tick(nowMs: number): void;
  /** True once it is certain what snapshots there are of these services, or that it cannot be known now. */
  knows(services: Iterable<string>): boolean;
  /** What is applied of every service that is wanted here: NO_REVISION where nothing is held. */
  applied(): Readonly<Record<string, Revision>>;
  /** The newest change set of which anything is held; undefined if nothing is. */
  policy(): Revision | undefined;
  /** What is held, for people. */
  describe(): Readonly<Record<PublicationKind, Readonly<Record<string, Revision>>>>;
  /** What has not been heard yet, in words. */
  waiting(): string[];
}

export function createControlPlane(parts: ControlPlaneParts): ControlPlane {
  const { keyring, disk, served, now, random, fault } = parts;
  const common = { keyring, disk, kept: served, now, random, fault };
  const snapshots = new Publications<Snapshot>({
    ...common,
    kind: 'snapshot',
    read: readSnapshot,
    refused: (reason, details) => parts.refused('snapshot', reason, details),
  });
  const lists = new Publications<EndpointList>({
    ...common,
    kind: 'endpoints',
    read: readEndpointList,
    refused: (reason, details) => parts.refused('endpoints', reason, details),
  });
  const both = [snapshots, lists];
  return Object.freeze({
    snapshots,
    lists,
    identify: createIdentify(keyring, parts.wallMs),
    attach(bus: Bus) {
      for (const publications of both) publications.attach(bus);
    },
    refresh() {
      for (const publications of both) publications.refresh();
    },
    detach() {
      for (const publications of both) publications.detach();
    },
    tick(nowMs: number) {
      for (const publications of both) publications.tick(nowMs);
    },
    knows: (services: Iterable<string>) => [...services].every((service) => snapshots.known(service)),
    applied() {
      const applied: Record<string, Revision> = {};
      for (const [service, snapshot] of snapshots.all()) applied[service] = snapshot?.revision ?? NO_REVISION;
      return applied;
    },
    policy() {
      let newest: Revision | undefined;
      for (const [, snapshot] of snapshots.all()) {
        const policy = snapshot?.policy;
        if (policy !== undefined && compareRevisions(policy, newest ?? NO_REVISION) > 0) newest = policy;
      }
      return newest;
    },
    describe: () => ({ snapshot: snapshots.held(), endpoints: lists.held() }),
    waiting: () => [
      ...snapshots.waiting().map((service) => `${service}: nobody has said yet what routes it has`),
      ...lists.waiting().map((service) => `${service}: nobody has said yet who serves it`),
    ],
  });
}
