/**
 * Which endpoint a request goes to. By default the bus picks one of the queue group. A request that is not safe
 * to repeat is addressed to one endpoint, so that a captured packet cannot be played to another one.
 *
 * Endpoints are learned from their answers. Now and then the bus is asked although some are known, because only
 * that finds new ones; an endpoint that does not answer is forgotten at once.
 */
import { BoundedMap } from '../../protocol/bounded-map.ts';
import type { PeerIdentity } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';

interface Known {
  readonly endpoints: PeerIdentity[];
  next: number;
  askedBusMs: number;
}

export class Balancer {
  readonly #self: PeerIdentity;
  readonly #serving: ReadonlySet<string>;
  readonly #now: () => number;
  readonly #services = new BoundedMap<string, Known>(LIMITS.servicesKnownMax);

  /** `serving`: what this agent itself serves now. */
  constructor(self: PeerIdentity, serving: ReadonlySet<string>, now: () => number) {
    this.#self = self;
    this.#serving = serving;
    this.#now = now;
  }

  /** One endpoint, or undefined to let the bus pick. */
  pick(service: string, repeatable: boolean): PeerIdentity | undefined {
    const known = this.#knownOf(service);
    const local = this.#serving.has(service);
    const count = known.endpoints.length + (local ? 1 : 0);
    const nowMs = this.#now();
    const exploring = nowMs - known.askedBusMs >= LIMITS.exploreMs;
    if (count === 0 || exploring || (repeatable && known.endpoints.length > 0)) {
      known.askedBusMs = nowMs;
      return undefined;
    }
    known.next = (known.next + 1) % count;
    return known.endpoints[known.next] ?? this.#self;
  }

  /** How many endpoints are believed to share what the bus distributes. */
  spread(service: string): number {
    const known = this.#services.get(service);
    return Math.max(1, (known?.endpoints.length ?? 0) + (this.#serving.has(service) ? 1 : 0));
  }

  learned(service: string, endpoint: PeerIdentity): void {
    if (endpoint.agent === this.#self.agent) return;
    const { endpoints } = this.#knownOf(service);
    const at = endpoints.findIndex((one) => one.agent === endpoint.agent);
    if (at >= 0) endpoints[at] = endpoint;
    else if (endpoints.length < LIMITS.endpointsMax) endpoints.push(endpoint);
  }

  forget(service: string, agent: string): void {
    const endpoints = this.#services.get(service)?.endpoints;
    const at = endpoints?.findIndex((one) => one.agent === agent) ?? -1;
    if (at >= 0) endpoints?.splice(at, 1);
  }

  #knownOf(service: string): Known {
    const known = this.#services.get(service);
    if (known !== undefined) return known;
    const fresh = { endpoints: [], next: 0, askedBusMs: Number.NEGATIVE_INFINITY };
    this.#services.set(service, fresh);
    return fresh;
  }
}
