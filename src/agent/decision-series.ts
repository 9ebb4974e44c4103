/** Counts what policies have decided. A request adds to a plain number; there are as many as rules that have decided lately. */
import type { Decision } from '../protocol/authorization/decision.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Side } from './side.ts';

export interface DecisionCount {
  readonly side: Side;
  /** The last of those that say the same. */
  decision: Decision;
  requests: number;
}

export class DecisionSeries {
  /** Of decisions that rules hand out again and again. */
  readonly #bySide: Readonly<Record<Side, WeakMap<Decision, DecisionCount>>> = {
    outbound: new WeakMap(),
    inbound: new WeakMap(),
  };
  readonly #counts = new Map<string, DecisionCount>();

  add(side: Side, decision: Decision): void {
    const known = this.#bySide[side].get(decision);
    if (known !== undefined) known.requests += 1;
    else this.#countOf(side, decision).requests += 1;
  }

  counts(): Iterable<DecisionCount> {
    return this.#counts.values();
  }

  /** A snapshot that is made anew has decisions of its own that say the same. The oldest leave for new ones. */
  #countOf(side: Side, decision: Decision): DecisionCount {
    const { service, action, policy, rule, revision } = decision;
    const key = [side, service, action, policy, rule, revision].join(' ');
    let count = this.#counts.get(key);
    if (count === undefined) {
      count = { side, decision, requests: 0 };
      this.#counts.set(key, count);
      if (this.#counts.size > LIMITS.decisionSeriesMax) this.#forgetOldest();
    }
    count.decision = decision;
    this.#bySide[side].set(decision, count);
    return count;
  }

  #forgetOldest(): void {
    for (const [key, { side, decision }] of this.#counts) {
      this.#counts.delete(key);
      this.#bySide[side].delete(decision);
      return;
    }
  }
}
