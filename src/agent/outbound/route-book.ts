/**
 * What local applications call, by name: which service is behind it, who may reach that, and its routes. Built once per
 * snapshot, read by every request. A name is asked for when it is first called, and forgotten when it has not been called
 * for a while. An alias leads one step, to a service, and never to another alias.
 */
import { exposureRefusal } from '../../protocol/exposure.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { isServiceName } from '../../protocol/names.ts';
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
  /** The service behind the name; undefined for a host name that nobody has as an alias. */
  readonly service: string | undefined;
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

  /** True if it is certain by now what is behind a name and what routes that has; else it has been asked for. */
  knows(name: string): boolean {
    const page = this.#pages.get(name);
    if (page === undefined && !this.#certain(name)) return false;
    const target = (page === undefined ? this.#source.get(name) : page.snapshot)?.aliasOf;
    return target === undefined || this.#certain(target);
  }

  /** The service behind a name: itself, or the one that it is an alias of. Undefined for a host name that is no alias. */
  serviceOf(name: string): string | undefined {
    return this.#page(name).service;
  }

  /** Why callers of a namespace may not reach a service, as far as it is known here; undefined if they may. */
  refusal(service: string, callerNamespace: string | undefined): string | undefined {
    return exposureRefusal(service, this.#pages.get(service)?.snapshot?.exposure, callerNamespace);
  }

  /** A service's, as far as it is known here; one that routes lead to is followed from then on. */
  snapshotOf(service: string): Snapshot | undefined {
    return this.#certain(service) ? this.#page(service).snapshot : undefined;
  }

  /** The routes that hold for callers of a namespace, or of none; undefined if the service has none. */
  tableOf(service: string, callerNamespace: string | undefined): RouteTable | undefined {
    const page = this.#page(service);
    const own = callerNamespace === undefined ? undefined : page.consumers.get(callerNamespace);
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

  #certain(name: string): boolean {
    if (this.#pages.has(name) || this.#source.known(name)) return true;
    this.#source.want(name);
    return false;
  }

  #page(name: string): Page {
    const page = this.#pages.get(name) ?? this.#open(name);
    page.usedMs = this.#now();
    return page;
  }

  #forget(service: string): void {
    this.#pages.delete(service);
    this.#source.drop(service);
  }

  #open(service: string): Page {
    const snapshot = this.#source.get(service);
    const page: Page = {
      snapshot,
      service: snapshot?.aliasOf ?? (isServiceName(service) ? service : undefined),
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
