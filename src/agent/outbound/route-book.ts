/**
 * The routes of the services that local applications call: built once per snapshot, read by every request. A
 * service is asked for when it is first called, and forgotten when it has not been called for a while.
 */
import { LIMITS } from '../../protocol/limits.ts';
import { createRouteTable, type RouteTable } from '../../protocol/routes/route-table.ts';
import type { RouteSet, Snapshot } from '../../protocol/snapshot.ts';

/** Where snapshots come from. */
export interface SnapshotSource {
  /** Fetches and follows a service's; to call it again changes nothing. */
  want(service: string): void;
  /** True once it is certain what there is of the service: a snapshot, or none. */
  known(service: string): boolean;
  get(service: string): Snapshot | undefined;
  drop(service: string): void;
  /** Has `changed` called for a service whenever there is another snapshot of it, or none any more. */
  watch?(changed: (service: string) => void): void;
}

/** A source that knows that no service has routes. */
export const NO_ROUTES: SnapshotSource = Object.freeze({
  want() {},
  known: () => true,
  get: () => undefined,
  drop() {},
});

interface Page {
  readonly snapshot: Snapshot | undefined;
  readonly producer: RouteTable | undefined;
  readonly consumers: ReadonlyMap<string, RouteTable | undefined>;
  usedMs: number;
}

export class RouteBook {
  readonly #source: SnapshotSource;
  readonly #now: () => number;
  readonly #pages = new Map<string, Page>();

  constructor(source: SnapshotSource, now: () => number) {
    this.#source = source;
    this.#now = now;
    source.watch?.((service) => this.changed(service));
  }

  /** True if it is certain by now what routes the service has; else it has been asked for. */
  knows(service: string): boolean {
    if (this.#pages.has(service) || this.#source.known(service)) return true;
    this.#source.want(service);
    return false;
  }

  /** The routes that hold for callers of a namespace; undefined if the service has none. */
  tableOf(service: string, callerNamespace: string): RouteTable | undefined {
    const page = this.#pages.get(service) ?? this.#open(service);
    page.usedMs = this.#now();
    const own = page.consumers.get(callerNamespace);
    return own ?? page.producer;
  }

  /** The source has another snapshot of a service, or has learned that there is none. */
  changed(service: string): void {
    if (!this.#pages.has(service)) return;
    // Perhaps followed no more, because others needed the room: the next request asks for it anew.
    if (this.#source.get(service) === undefined) this.#pages.delete(service);
    else this.#open(service);
  }

  /** Forgets what nobody has called for a while. */
  expire(nowMs: number): void {
    for (const [service, { usedMs }] of this.#pages) {
      if (nowMs - usedMs < LIMITS.snapshotIdleMs) continue;
      this.#forget(service);
    }
  }

  #forget(service: string): void {
    this.#pages.delete(service);
    this.#source.drop(service);
  }

  #open(service: string): Page {
    const snapshot = this.#source.get(service);
    const page: Page = {
      snapshot,
      producer: tableOf(snapshot?.producer),
      consumers: new Map(
        Object.entries(snapshot?.consumers ?? {}).map(([namespace, set]) => [namespace, tableOf(set)]),
      ),
      usedMs: this.#pages.get(service)?.usedMs ?? this.#now(),
    };
    this.#pages.set(service, page);
    if (this.#pages.size > LIMITS.servicesKnownMax) {
      const [oldest] = this.#pages.keys();
      this.#forget(oldest as string);
    }
    return page;
  }
}

/** A set without rules is as good as none: its requests go to the service's own endpoints. */
function tableOf(set: RouteSet | undefined): RouteTable | undefined {
  return set === undefined || set.rules.length === 0 ? undefined : createRouteTable(set);
}
