/**
 * Streams by their id. An id is a slot and how often that slot has been used: a look-up is an array access, and a
 * late frame for a stream that is over never finds the one that has its slot now.
 */
import { type Member, Roster } from '../roster.ts';

interface Numbered extends Member {
  readonly id: number;
}

const SLOT_BITS = 16;
const SLOT_MASK = 2 ** SLOT_BITS - 1;

export class StreamTable<S extends Numbered> {
  readonly #slots: (S | undefined)[] = [];
  readonly #roster = new Roster<S>();
  /** Slots that are free again, each with the use that comes next; the one freed last is used next. */
  readonly #free: number[] = [];

  get size(): number {
    return this.#roster.size;
  }

  get(id: number): S | undefined {
    const stream = this.#slots[id & SLOT_MASK];
    return stream?.id === id ? stream : undefined;
  }

  /** The stream that had the slot of `id` before it: whoever gives out ids has ended it, though it may not have said so. */
  before(id: number): S | undefined {
    const stream = this.#slots[id & SLOT_MASK];
    return stream !== undefined && ((id - stream.id) | 0) > 0 ? stream : undefined;
  }

  /** An id that no stream of this table has; undefined if there are as many streams as slots. */
  freeId(): number | undefined {
    const next = this.#free.pop();
    if (next !== undefined) return next;
    // The slot 0 is left out: 0 is no stream id.
    const slot = Math.max(1, this.#slots.length);
    return slot <= SLOT_MASK ? slot : undefined;
  }

  /** Puts in a stream; false if its slot is taken, which only happens for ids that another agent has made. */
  add(stream: S): boolean {
    const slot = stream.id & SLOT_MASK;
    if (this.#slots[slot] !== undefined) return false;
    this.#slots[slot] = stream;
    this.#roster.add(stream);
    return true;
  }

  /** Takes out a stream. `reuse`: its id was made by `freeId`. */
  delete(stream: S, reuse: boolean): void {
    if (this.get(stream.id) !== stream) return;
    this.#slots[stream.id & SLOT_MASK] = undefined;
    this.#roster.delete(stream);
    if (reuse) this.#free.push((stream.id + SLOT_MASK + 1) >>> 0);
  }

  visit(visit: (stream: S) => void): void {
    this.#roster.visit(visit);
  }
}
