/** The endpoints of one list that can be asked, in turn. */
import type { EndpointList } from '../../protocol/endpoint-list.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import { endpointTag } from './endpoint-tag.ts';

export class PublishedEndpoints {
  readonly #service: string;
  readonly #self: PeerIdentity;
  readonly #identify: (document: string) => PeerIdentity | undefined;
  /** Documents of the ready ones, by their agent; without this agent itself, which knows better. */
  readonly #ready = new Map<string, string>();
  readonly #documents: readonly string[];
  /** Agents that were not there, each with until when it is passed over. */
  readonly #missing: Map<string, number>;
  #next: number;
  /** Documents by the tags of their endpoints, once a session has asked for one. */
  #byTag: Map<string, string> | undefined;

  constructor(
    list: EndpointList,
    self: PeerIdentity,
    source: { identify(document: string): PeerIdentity | undefined },
    before: PublishedEndpoints | undefined,
  ) {
    this.#service = list.service;
    this.#self = self;
    this.#identify = (document) => source.identify(document);
    for (const { agent, document, state } of list.endpoints) {
      if (state === 'ready' && agent !== self.agent) this.#ready.set(agent, document);
    }
    this.#documents = [...this.#ready.values()];
    this.#next = before === undefined ? 0 : before.#next;
    this.#missing = before === undefined ? new Map() : before.#stillMissing(this.#ready);
  }

  /** Of who is listed as before nothing new is known. */
  #stillMissing(ready: ReadonlyMap<string, string>): Map<string, number> {
    const missing = [...this.#missing];
    return new Map(missing.filter(([agent]) => ready.get(agent) === this.#ready.get(agent)));
  }

  /** How many are ready, beside this agent. */
  get count(): number {
    return this.#documents.length;
  }

  /** True if there are some, and none shows an identity that holds. */
  get outdated(): boolean {
    return this.#documents.length > 0 && this.#documents.every((one) => this.#identify(one) === undefined);
  }

  /** The next one; `local`: this agent is one of them. Undefined if none can be asked. */
  pick(local: boolean, failed: PeerIdentity | undefined, nowMs: number): PeerIdentity | undefined {
    const count = this.#documents.length + (local ? 1 : 0);
    for (let tried = 0; tried < count; tried++) {
      this.#next = (this.#next + 1) % count;
      const document = this.#documents[this.#next];
      const endpoint = document === undefined ? this.#self : this.#askable(document, nowMs);
      // With one endpoint only there is no other to be had.
      if (endpoint !== undefined && (endpoint !== failed || count === 1)) return endpoint;
    }
    return undefined;
  }

  /** The one that sessions call by `tag`, if it can be asked. */
  tagged(tag: string, nowMs: number): PeerIdentity | undefined {
    this.#byTag ??= new Map(
      [...this.#ready].map(([agent, document]) => [endpointTag(this.#service, agent), document]),
    );
    const document = this.#byTag.get(tag);
    return document === undefined ? undefined : this.#askable(document, nowMs);
  }

  missing(agent: string, untilMs: number): void {
    if (this.#ready.has(agent)) this.#missing.set(agent, untilMs);
  }

  #askable(document: string, nowMs: number): PeerIdentity | undefined {
    const endpoint = this.#identify(document);
    if (endpoint === undefined || !endpoint.workloads.has(this.#service)) return undefined;
    if (this.#missing.size === 0) return endpoint;
    const untilMs = this.#missing.get(endpoint.agent);
    if (untilMs === undefined) return endpoint;
    if (nowMs < untilMs) return undefined;
    this.#missing.delete(endpoint.agent);
    return endpoint;
  }
}
