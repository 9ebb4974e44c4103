/**
 * Which endpoint a request goes to.
 *
 * While the control plane publishes who serves a service, the request goes to the endpoints that it calls ready, in
 * turn. One that was asked and not there is passed over until something new is known of it, or for a few seconds. When
 * none of them can be asked, the bus picks for requests that are safe to repeat. Others go to listed endpoints alone: what
 * is sealed for a service could be played to each of its endpoints.
 *
 * Without a list, what is served here stays here: nobody has said that there are others, and no request is put at the
 * mercy of the bus to find out. For the rest the bus picks one of the queue group. A request that is not safe to repeat
 * is then addressed to one endpoint, so that a captured packet cannot be played to another one. Endpoints are learned
 * from their answers. Now and then the bus is asked although some are known, because only that finds new ones; an
 * endpoint that does not answer is forgotten at once.
 */
import type { EndpointList } from '../../protocol/endpoint-list.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { endpointTag } from './endpoint-tag.ts';
import { PublishedEndpoints } from './published-endpoints.ts';

/** Where endpoint lists come from. */
export interface EndpointSource {
  /** Fetches and follows a service's list; to call it again changes nothing. */
  want(service: string): void;
  get(service: string): EndpointList | undefined;
  drop(service: string): void;
  /** Whose a document is; undefined if it is no good now. Gives the same object for the same document. */
  identify(document: string): PeerIdentity | undefined;
}

/** A source that knows of no list. */
export const NO_LISTS: EndpointSource = Object.freeze({
  want() {},
  get: () => undefined,
  drop() {},
  identify: () => undefined,
});

interface Known {
  readonly endpoints: PeerIdentity[];
  published: PublishedEndpoints | undefined;
  next: number;
  askedBusMs: number;
  usedMs: number;
  /** The endpoints by their tags, once a session has asked for one of them. */
  byTag: Map<string, PeerIdentity> | undefined;
}

export class Balancer {
  readonly #self: PeerIdentity;
  readonly #serving: ReadonlySet<string>;
  readonly #now: () => number;
  readonly #source: EndpointSource;
  readonly #services = new Map<string, Known>();

  /** `serving`: what this agent itself serves now. */
  constructor(
    self: PeerIdentity,
    serving: ReadonlySet<string>,
    now: () => number,
    source: EndpointSource = NO_LISTS,
  ) {
    this.#self = self;
    this.#serving = serving;
    this.#now = now;
    this.#source = source;
  }

  /** One endpoint; undefined if none is known: the bus may pick for what is safe to repeat, or there is no list. */
  pick(service: string, repeatable: boolean): PeerIdentity | undefined {
    const known = this.#knownOf(service);
    const nowMs = this.#now();
    known.usedMs = nowMs;
    const local = this.#serving.has(service);
    if (known.published !== undefined) return this.#listed(service, known.published, repeatable, undefined);
    if (local) return this.#self;
    const count = known.endpoints.length;
    const exploring = nowMs - known.askedBusMs >= LIMITS.exploreMs;
    if (count === 0 || exploring || repeatable) {
      known.askedBusMs = nowMs;
      return undefined;
    }
    known.next = (known.next + 1) % count;
    return known.endpoints[known.next];
  }

  /**
   * The endpoint for another try, after `failed` was picked for the one before. What was learned is of no use then:
   * the bus knows better who is there.
   */
  pickOther(
    service: string,
    repeatable: boolean,
    failed: PeerIdentity | undefined,
  ): PeerIdentity | undefined {
    const published = this.#services.get(service)?.published;
    return published === undefined ? undefined : this.#listed(service, published, repeatable, failed);
  }

  #listed(
    service: string,
    published: PublishedEndpoints,
    repeatable: boolean,
    failed: PeerIdentity | undefined,
  ): PeerIdentity | undefined {
    const local = this.#serving.has(service);
    const nowMs = this.#now();
    const endpoint = published.pick(local, failed, nowMs);
    if (endpoint !== undefined || repeatable) return endpoint;
    // One that was missed may be back.
    return published.pick(local, failed, Number.POSITIVE_INFINITY);
  }

  /** True if all that its list shows has been replaced, so that a newer list is on its way: agents have got other keys. */
  isOutdated(service: string): boolean {
    return this.#services.get(service)?.published?.outdated === true;
  }

  /** The endpoint that a session calls by `tag` (see `endpointTag`), if it can be asked now. */
  pickTagged(service: string, tag: string): PeerIdentity | undefined {
    const known = this.#knownOf(service);
    known.usedMs = this.#now();
    if (this.#serving.has(service) && endpointTag(service, this.#self.agent) === tag) return this.#self;
    if (known.published !== undefined) return known.published.tagged(tag, known.usedMs);
    known.byTag ??= new Map(known.endpoints.map((one) => [endpointTag(service, one.agent), one]));
    return known.byTag.get(tag);
  }

  /** How many endpoints are believed to share what the bus distributes. */
  spread(service: string): number {
    const known = this.#services.get(service);
    const others = known?.published?.count ?? known?.endpoints.length ?? 0;
    return Math.max(1, others + (this.#serving.has(service) ? 1 : 0));
  }

  learned(service: string, endpoint: PeerIdentity): void {
    if (endpoint.agent === this.#self.agent) return;
    const known = this.#knownOf(service);
    const { endpoints, published } = known;
    if (published !== undefined) return;
    const at = endpoints.findIndex((one) => one.agent === endpoint.agent);
    if (at >= 0 && endpoints[at] === endpoint) return;
    known.byTag = undefined;
    if (at >= 0) endpoints[at] = endpoint;
    else if (endpoints.length < LIMITS.endpointsMax) endpoints.push(endpoint);
  }

  /** The endpoint was asked and is not there, or does not answer. */
  forget(service: string, agent: string): void {
    const known = this.#services.get(service);
    known?.published?.missing(agent, this.#now() + LIMITS.endpointMissingMs);
    const at = known?.endpoints.findIndex((one) => one.agent === agent) ?? -1;
    if (known === undefined || at < 0) return;
    known.endpoints.splice(at, 1);
    known.byTag = undefined;
  }

  /** Agents were cut off: nothing is sent to them any more. Those of lists are for the source to know. */
  expel(isOut: (endpoint: PeerIdentity) => boolean): void {
    for (const known of this.#services.values()) {
      known.endpoints.splice(0, Number.POSITIVE_INFINITY, ...known.endpoints.filter((one) => !isOut(one)));
      known.byTag = undefined;
    }
  }

  /** The source has another list of the service. */
  published(service: string): void {
    const known = this.#services.get(service);
    if (known === undefined) return;
    // Followed no more, because others needed the room: the next request asks for it anew.
    if (this.#source.get(service) === undefined) this.#services.delete(service);
    else this.#read(service, known);
  }

  /** Forgets what nobody has called for a while. */
  expire(nowMs: number): void {
    for (const [service, { usedMs }] of this.#services) {
      if (nowMs - usedMs >= LIMITS.snapshotIdleMs) this.#drop(service);
    }
  }

  #drop(service: string): void {
    this.#services.delete(service);
    this.#source.drop(service);
  }

  #read(service: string, known: Known): void {
    const list = this.#source.get(service);
    if (list === undefined) return;
    known.published = new PublishedEndpoints(list, this.#self, this.#source, known.published);
    known.endpoints.length = 0;
  }

  #knownOf(service: string): Known {
    const known = this.#services.get(service);
    if (known !== undefined) return known;
    if (this.#services.size >= LIMITS.servicesKnownMax) {
      const [oldest] = this.#services.keys();
      if (oldest !== undefined) this.#drop(oldest);
    }
    const fresh: Known = {
      endpoints: [],
      published: undefined,
      next: 0,
      askedBusMs: Number.NEGATIVE_INFINITY,
      usedMs: this.#now(),
      byTag: undefined,
    };
    this.#services.set(service, fresh);
    this.#source.want(service);
    this.#read(service, fresh);
    return fresh;
  }
}
