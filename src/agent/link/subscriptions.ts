import { instanceSubject, processSubject, QUEUE, serviceSubject } from '../../protocol/subjects.ts';
import type { Bus, Deliver } from './bus.ts';

export interface SubscriptionsParts {
  readonly mesh: string;
  readonly agent: string;
  /** Of the key of this process. */
  readonly fingerprint: string;
  /** What requests are given to. */
  readonly deliver: Deliver;
}

/** What this process hears on the bus, each subject once. */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;
  readonly #stops = new Map<string, () => void>();

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
  }

  add(bus: Bus, subject: string, queue: string | undefined, deliver: Deliver): void {
    if (this.#stops.has(subject)) return;
    this.#stops.set(subject, bus.subscribe(subject, queue, deliver));
  }

  /** Requests for the service: those for this process and this agent and, if `shared`, those of its queue group. */
  join(bus: Bus, service: string, shared: boolean): void {
    const { deliver } = this.#parts;
    const { own, group } = this.#subjectsOf(service);
    if (shared) this.add(bus, group, QUEUE, deliver);
    else this.#remove(group);
    for (const subject of own) this.add(bus, subject, undefined, deliver);
  }

  leave(service: string): void {
    const { own, group } = this.#subjectsOf(service);
    for (const subject of [group, ...own]) this.#remove(subject);
  }

  clear(): void {
    for (const stop of this.#stops.values()) stop();
    this.#stops.clear();
  }

  #subjectsOf(service: string) {
    const { mesh, agent, fingerprint } = this.#parts;
    const own = [processSubject(mesh, service, agent, fingerprint), instanceSubject(mesh, service, agent)];
    return { own, group: serviceSubject(mesh, service) };
  }

  #remove(subject: string): void {
    this.#stops.get(subject)?.();
    this.#stops.delete(subject);
  }
}
