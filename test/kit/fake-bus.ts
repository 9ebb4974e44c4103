/**
 * A bus in memory for two or more links: subjects, wildcards at the end, queue groups, "no responders". It
 * delivers in order, after the publisher's turn, and can be told to lose, repeat or watch messages.
 */
import type { Bus, Deliver } from '../../src/agent/link/bus.ts';

export interface Message {
  readonly subject: string;
  readonly payload: Buffer;
  readonly reply: string | undefined;
}

interface Subscription {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly deliver: Deliver;
}

export class FakeBus {
  up = true;
  payloadBytesMax = 1024 * 1024;
  /** Every message that was published, in order. */
  readonly published: Message[] = [];
  /** How often a message arrives: 0 loses it, 2 repeats it. */
  arrivals: (message: Message) => number = () => 1;
  /** When it answers a ping. */
  answered: () => Promise<void> = () => Promise.resolve();
  readonly #subscriptions = new Set<Subscription>();
  #next = 0;

  /** A connection of one agent. */
  connect(): Bus {
    const hub = this;
    return {
      get up() {
        return hub.up;
      },
      get payloadBytesMax() {
        return hub.payloadBytesMax;
      },
      publish: (subject, payload, reply) => hub.publish(subject, Buffer.from(payload), reply),
      subscribe(subject, queue, deliver) {
        const subscription = { subject, queue, deliver };
        hub.#subscriptions.add(subscription);
        return () => hub.#subscriptions.delete(subscription);
      },
      request: () => Promise.reject(new Error('no responders')),
      flush: () => hub.answered(),
      close: () => Promise.resolve(),
    };
  }

  publish(subject: string, payload: Buffer, reply?: string): void {
    const message = { subject, payload, reply };
    this.published.push(message);
    for (let times = this.arrivals(message); times > 0; times--) {
      setImmediate(() => this.#arrive(message));
    }
  }

  #arrive({ subject, payload, reply }: Message): void {
    const all = [...this.#subscriptions].filter((one) => matches(one.subject, subject));
    const queues = new Map<string, Subscription[]>();
    const chosen = all.filter(({ queue }) => queue === undefined);
    for (const one of all) {
      if (one.queue !== undefined) queues.set(one.queue, [...(queues.get(one.queue) ?? []), one]);
    }
    for (const group of queues.values()) chosen.push(group[this.#next++ % group.length] as Subscription);
    for (const one of chosen) one.deliver(payload, subject, false);
    if (chosen.length === 0 && reply !== undefined) {
      for (const one of this.#subscriptions) {
        if (matches(one.subject, reply)) one.deliver(Buffer.alloc(0), reply, true);
      }
    }
  }
}

function matches(pattern: string, subject: string): boolean {
  if (!pattern.endsWith('.*')) return pattern === subject;
  const stem = pattern.slice(0, -1);
  return subject.startsWith(stem) && !subject.slice(stem.length).includes('.');
}
