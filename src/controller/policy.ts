/** The authored resources in memory, with what follows from them: read from the store, and changed through it. */
import { readSnapshot } from '../protocol/read-snapshot.ts';
import type { Revision } from '../protocol/revision.ts';
import type { Snapshot } from '../protocol/snapshot.ts';
import { compileService } from './compile/compile-service.ts';
import { createCompileIndex, type ResourceGraph } from './compile/resource-graph.ts';
import { ControllerError } from './controller-error.ts';
import { snapshotExcess } from './publisher.ts';
import { type Resource, resourceKey } from './resources/resource.ts';
import { validateResource } from './resources/validate.ts';
import type { Store, StoredResource, StoreWrite } from './store.ts';

/** One resource of a change set. */
export interface PlannedChange {
  /** Its place in the call. */
  readonly at: number;
  readonly key: string;
  readonly before: StoredResource<Resource> | undefined;
  /** Undefined: it is deleted. */
  readonly after: Resource | undefined;
}

export interface PolicyOptions {
  readonly store: Store<Resource>;
  readonly mesh: string;
  readonly knownServices: ReadonlySet<string>;
  readonly payloadBytesMax: () => number;
  readonly unreadable: (key: string) => void;
}

export type Policy = ReturnType<typeof createPolicy>;

/** Of a snapshot that is only looked at. */
const TRIAL: Revision = [0, 0];

export function createPolicy({ store, mesh, knownServices, payloadBytesMax, unreadable }: PolicyOptions) {
  let resources = new Map<string, StoredResource<Resource>>();
  /** The same, without what the store says of them. */
  let plain = new Map<string, Resource>();
  let graph: ResourceGraph = createCompileIndex([]);
  let version = '';
  let blank = false;

  const compile = (service: string, [epoch, revision]: Revision): Snapshot =>
    compileService(service, graph, knownServices, { mesh, epoch, revision });

  const change = (changes: readonly PlannedChange[]): Set<string> => {
    const touched = new Set<string>();
    for (const { before, after } of changes) {
      for (const service of graph.change(before?.resource, after)) touched.add(service);
    }
    return touched;
  };
  const undo = (changes: readonly PlannedChange[]): void => {
    for (const { before, after } of changes.toReversed()) graph.change(after, before?.resource);
  };

  return Object.freeze({
    resources: {
      get: (key: string) => resources.get(key),
      all: (): Iterable<[string, StoredResource<Resource>]> => resources,
      plain: (): ReadonlyMap<string, Resource> => plain,
    },
    get graph() {
      return graph;
    },
    compile,
    /** Nothing was ever written to the store when it was read: that there are no resources says nothing. */
    get blank() {
      return blank;
    },

    /** Reads everything anew. */
    async load(): Promise<void> {
      blank = await store.blank();
      // The version first: what is written meanwhile is read again next time.
      version = await store.version();
      resources = await store.list(unreadable);
      for (const [key, { resource }] of resources) {
        if (isSound(key, resource)) continue;
        resources.delete(key);
        unreadable(key);
      }
      plain = new Map([...resources].map(([key, { resource }]) => [key, resource]));
      graph = createCompileIndex(plain.values());
    },
    /** Like `load`, unless nothing was written since. For a controller that does not lead. */
    async refresh(): Promise<void> {
      if ((await store.version()) !== version) await this.load();
    },

    /**
     * The services that a change set would touch. Nothing is changed.
     * @throws ControllerError `invalid` if agents would not take a snapshot, or it would become too long; whatever the
     *   compiler throws
     */
    try(changes: readonly PlannedChange[]): Set<string> {
      const touched = change(changes);
      try {
        for (const service of touched) {
          const snapshot = compile(service, TRIAL);
          if (readSnapshot(mesh, JSON.parse(JSON.stringify(snapshot))) === undefined) {
            throw new ControllerError(
              'invalid',
              `agents would refuse the snapshot of ${service}: one of its values is beyond what they take`,
            );
          }
          const excess = snapshotExcess(snapshot, payloadBytesMax());
          if (excess === 0) continue;
          throw new ControllerError(
            'invalid',
            `the snapshot of ${service} would be ${excess} bytes longer than a message may be: ` +
              'give it fewer or shorter rules, or raise max_payload of NATS',
          );
        }
      } finally {
        undo(changes);
      }
      return touched;
    },

    /**
     * Writes a change set that was tried, and takes it in.
     * @returns the touched services, and the revision of each resource. @throws see `Store.apply`
     */
    async commit(
      changes: readonly PlannedChange[],
      by: { author: string; nonce: string; untilMs: number; nowMs: number },
    ): Promise<{ touched: Set<string>; revisions: Map<string, number> }> {
      const time = new Date(by.nowMs).toISOString();
      const writes: StoreWrite<Resource>[] = [];
      for (const { key, before, after } of changes) {
        // A deleted resource has left its mark in the history.
        const expected = before?.revision ?? (await store.revisionOf(key));
        const change = after === undefined ? 'deleted' : before === undefined ? 'created' : 'configured';
        writes.push({ key, expected, record: { resource: after ?? null, author: by.author, time, change } });
      }
      const revisions = await store.apply(writes, by);
      for (const { key, after } of changes) {
        if (after === undefined) {
          resources.delete(key);
          plain.delete(key);
        } else {
          resources.set(key, { resource: after, revision: revisions.get(key) as number });
          plain.set(key, after);
        }
      }
      return { touched: change(changes), revisions };
    },
  });
}

/** What somebody else has written, or an older release, must not keep everything else from being read. */
function isSound(key: string, resource: Resource): boolean {
  const { resource: valid } = validateResource(resource);
  return valid !== undefined && resourceKey(valid) === key;
}
