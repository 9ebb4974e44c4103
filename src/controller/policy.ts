/** The authored resources in memory, with what follows from them: read from the store, and changed through it. */
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { readSnapshot } from '../protocol/read-snapshot.ts';
import type { Revision } from '../protocol/revision.ts';
import type { Snapshot } from '../protocol/snapshot.ts';
import { compileService } from './compile/compile-service.ts';
import { createCompileIndex, type ResourceGraph } from './compile/resource-graph.ts';
import { ControllerError } from './controller-error.ts';
import { snapshotExcess } from './publisher.ts';
import { isAuthorizationPolicy, policyTarget } from './resources/authorization-policy.ts';
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
  /** Services of which a snapshot is published. */
  readonly published: () => readonly string[];
  /** What becomes of requests to services that no ALLOW policy is about. */
  readonly defaultAction: DefaultAction;
  readonly payloadBytesMax: () => number;
  readonly unreadable: (key: string) => void;
}

export type Policy = ReturnType<typeof createPolicy>;

/** Of a snapshot that is only looked at. */
const TRIAL: Revision = [0, 0];

export function createPolicy(options: PolicyOptions) {
  const { store, mesh, knownServices, published, defaultAction, payloadBytesMax, unreadable } = options;
  let resources = new Map<string, StoredResource<Resource>>();
  /** The same, without what the store says of them. */
  let plain = new Map<string, Resource>();
  let graph: ResourceGraph = createCompileIndex([]);
  let version = '';

  const authorized = { defaultAction, revisionOf: (key: string) => resources.get(key)?.revision ?? 0 };

  const compile = (service: string, [epoch, revision]: Revision): Snapshot => ({
    ...compileService(service, graph, knownServices, { mesh, epoch, revision }, authorized),
    policy: store.at,
    head: store.proof,
  });

  const change = (changes: readonly PlannedChange[]): Set<string> => {
    const touched = new Set<string>();
    for (const { before, after } of changes) {
      for (const service of graph.change(before?.resource, after)) touched.add(service);
      if (![before?.resource, after].some(isMeshWide)) continue;
      for (const service of [...knownServices, ...published()]) touched.add(service);
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
    mesh,
    /** Nothing was ever applied to this store. */
    get blank() {
      return store.at[1] === 0;
    },
    /** The last change set of the store before this one, which was lost: see `Store.lost`. */
    get lost() {
      return store.lost;
    },
    /** Why nothing may follow from the resources; undefined if all is well. */
    get doubt() {
      return store.doubt;
    },

    /** Reads everything anew. */
    async load(): Promise<void> {
      // The version first: what is written meanwhile is read again next time.
      version = await store.version();
      resources = await store.list();
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
     * @returns the touched services, and the revision that all these resources have now. @throws see `Store.apply`
     */
    async commit(
      changes: readonly PlannedChange[],
      by: { author: string; nonce: string; untilMs: number; nowMs: number },
    ): Promise<{ touched: Set<string>; revision: number }> {
      const time = new Date(by.nowMs).toISOString();
      const writes: StoreWrite<Resource>[] = [];
      for (const { key, before, after } of changes) {
        const change = after === undefined ? 'deleted' : before === undefined ? 'created' : 'configured';
        writes.push({ key, record: { resource: after ?? null, author: by.author, time, change } });
      }
      const revision = await store.apply(writes, by);
      for (const { key, after } of changes) {
        if (after === undefined) {
          resources.delete(key);
          plain.delete(key);
        } else {
          resources.set(key, { resource: after, revision });
          plain.set(key, after);
        }
      }
      return { touched: change(changes), revision };
    },
  });
}

/** True for what is about services that no resource may name. */
function isMeshWide(resource: Resource | undefined): boolean {
  return resource !== undefined && isAuthorizationPolicy(resource) && policyTarget(resource) === undefined;
}

/** What somebody else has written, or an older release, must not keep everything else from being read. */
function isSound(key: string, resource: Resource): boolean {
  const { resource: valid } = validateResource(resource);
  return valid !== undefined && resourceKey(valid) === key;
}
