/** What this agent takes from the control plane: the trust list, snapshots and endpoint lists, from the bus and from disk. */
import type { EndpointList } from '../../protocol/endpoint-list.ts';
import { readEndpointList } from '../../protocol/endpoint-list.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { readSnapshot } from '../../protocol/read-snapshot.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../../protocol/revision.ts';
import type { Snapshot } from '../../protocol/snapshot.ts';
import type { PublicationKind } from '../../protocol/subjects.ts';
import { readTrustList, TRUST_NAME, type TrustList } from '../../protocol/trust-list.ts';
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
  /** Where the trust list is kept; undefined if this agent follows none. */
  readonly trustDisk: SnapshotDisk | undefined;
  /** Revisions below which publications are old. */
  readonly floor: (kind: PublicationKind, service: string) => Revision;
  readonly now: () => number;
  readonly wallMs: () => number;
  readonly random: () => number;
  readonly refused: (kind: PublicationKind, reason: PublicationRefusal, details: string) => void;
  readonly fault: (error: unknown) => void;
}

export interface ControlPlane {
  readonly snapshots: Publications<Snapshot>;
  readonly lists: Publications<EndpointList>;
  readonly trust: Publications<TrustList>;
  readonly identify: Identify;
  attach(bus: Bus): void;
  /** The bus is back. */
  refresh(): void;
  detach(): void;
  /** Called every second or so. */
  tick(nowMs: number): void;
  /** True once it is certain what trust list there is, and what snapshots of these services, or that it cannot be known now. */
  knows(services: Iterable<string>): boolean;
  /** What is applied of every service that is wanted here: NO_REVISION where nothing is held. */
  applied(): Readonly<Record<string, Revision>>;
  /** `head` of the trust list, and of the newest change set of which a snapshot is held. */
  heads(): readonly string[];
  /** What is held, for people. */
  describe(): Readonly<Partial<Record<PublicationKind, Readonly<Record<string, Revision>>>>>;
  /** What has not been heard yet, in words. */
  waiting(): string[];
}

export function createControlPlane(parts: ControlPlaneParts): ControlPlane {
  const { keyring, disk, served, trustDisk, floor, now, random, fault } = parts;
  const common = { keyring, disk, kept: served, now, random, fault };
  // First: what the others are checked with is in it.
  const trust = new Publications<TrustList>({
    ...common,
    kind: 'trust',
    disk: trustDisk,
    kept: new Set(trustDisk === undefined ? [] : [TRUST_NAME]),
    read: readTrustList,
    floor: () => floor('trust', TRUST_NAME),
    refused: (reason, details) => parts.refused('trust', reason, details),
  });
  const snapshots = new Publications<Snapshot>({
    ...common,
    kind: 'snapshot',
    read: readSnapshot,
    floor: (service) => floor('snapshot', service),
    refused: (reason, details) => parts.refused('snapshot', reason, details),
  });
  const lists = new Publications<EndpointList>({
    ...common,
    kind: 'endpoints',
    read: readEndpointList,
    floor: (service) => floor('endpoints', service),
    refused: (reason, details) => parts.refused('endpoints', reason, details),
  });
  const all = [trust, snapshots, lists];
  return Object.freeze({
    snapshots,
    lists,
    trust,
    identify: createIdentify(keyring, parts.wallMs),
    attach(bus: Bus) {
      for (const publications of all) publications.attach(bus);
    },
    refresh() {
      for (const publications of all) publications.refresh();
    },
    detach() {
      for (const publications of all) publications.detach();
    },
    tick(nowMs: number) {
      for (const publications of all) publications.tick(nowMs);
    },
    knows: (services: Iterable<string>) =>
      [...trust.all()].every(([name]) => trust.known(name)) &&
      [...services].every((service) => snapshots.known(service)),
    applied() {
      const applied: Record<string, Revision> = {};
      for (const [service, snapshot] of snapshots.all()) applied[service] = snapshot?.revision ?? NO_REVISION;
      return applied;
    },
    heads() {
      let newest: Snapshot | undefined;
      for (const [, snapshot] of snapshots.all()) {
        const { policy = NO_REVISION } = snapshot ?? {};
        if (compareRevisions(policy, newest?.policy ?? NO_REVISION) > 0) newest = snapshot;
      }
      return [trust.get(TRUST_NAME)?.head, newest?.head].filter((head) => head !== undefined);
    },
    describe: () => ({
      ...(trustDisk === undefined ? {} : { trust: trust.held() }),
      snapshot: snapshots.held(),
      endpoints: lists.held(),
    }),
    waiting: () => [
      ...trust.waiting().map(() => 'nobody has said yet which agents are cut off'),
      ...snapshots.waiting().map((service) => `${service}: nobody has said yet what routes it has`),
      ...lists.waiting().map((service) => `${service}: nobody has said yet who serves it`),
    ],
  });
}
