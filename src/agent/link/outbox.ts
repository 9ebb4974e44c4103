/**
 * Frames on their way out. Frames that become ready for one audience in the same turn of the event loop
 * leave in one packet: one seal and one publish for many requests. A turn ends in the check phase
 * (`setImmediate`), right after every socket that was readable has been read; no timer is ever added.
 *
 * While other streams are open, more is likely to be ready already, so the loop is let round once more as long as
 * a round brings something. Each round costs an empty poll; each packet saved, the waking of three processes.
 */
import { LIMITS } from '../../protocol/limits.ts';
import type { BodyGarbage } from '../garbage.ts';
import type { Bus } from './bus.ts';
import { PacketCounter, type Sealer } from './sealer.ts';

/** Something that holds frames until the end of the turn. */
interface Departing {
  flush(): void;
}

export interface OutboxParts {
  readonly bus: () => Bus | undefined;
  readonly garbage: BodyGarbage;
  /** True while more than one stream is open. */
  readonly crowded: () => boolean;
}

/** All that leaves at the end of this turn. */
export class Outbox {
  readonly counter = new PacketCounter();
  readonly #parts: OutboxParts;
  #departing: Departing[] = [];
  #rounds = 0;
  #grown = false;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  /** A frame is about to be written into `departing`; `waiting`: it has been said before in this turn. */
  frame(departing: Departing, waiting: boolean): void {
    this.#grown = true;
    if (waiting) return;
    if (this.#departing.length === 0) setImmediate(this.#round);
    this.#departing.push(departing);
  }

  /** The most plaintext that fits one bus message beside what `sealer` adds. */
  packetBytesMax(sealer: Sealer): number {
    const payloadBytesMax = this.#parts.bus()?.payloadBytesMax ?? LIMITS.packetBytesMax;
    return Math.min(LIMITS.packetBytesMax, payloadBytesMax - sealer.overheadBytes);
  }

  /** Seals, `signed` packets with their evidence, and publishes; while the bus is away there is nobody to send to, and every stream has been told. */
  publish(
    subject: string,
    sealer: Sealer,
    counter: number,
    plain: Buffer,
    signed: boolean,
    reply?: string,
  ): void {
    const bus = this.#parts.bus();
    if (!bus?.up) return;
    bus.publish(subject, sealer.seal(subject, counter, plain, signed), reply);
    this.#parts.garbage.passed(plain.length);
  }

  readonly #round = (): void => {
    this.#rounds += 1;
    const again = this.#grown && this.#rounds < LIMITS.coalescingRoundsMax && this.#parts.crowded();
    this.#grown = false;
    if (again) {
      setImmediate(this.#round);
      return;
    }
    this.flush();
  };

  /** Sends what waits without waiting for more. */
  flush(): void {
    this.#rounds = 0;
    const departing = this.#departing;
    this.#departing = [];
    for (const one of departing) one.flush();
  }
}
