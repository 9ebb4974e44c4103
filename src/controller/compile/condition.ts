export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339: since when `status` is what it is. */
  readonly lastTransitionTime: string;
}

export type MakeCondition = (
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
) => Condition;

/** How many of the agents that hold a service's snapshot have applied its present revision. */
export interface Applied {
  readonly applied: number;
  readonly of: number;
}

/** Makes conditions of one judgement; those that say what they said before keep their time. */
export function conditionMaker(
  generation: number,
  nowMs: number,
  previous: readonly Condition[] = [],
): MakeCondition {
  return (type, status, reason, message) => {
    const before = previous.find((condition) => condition.type === type);
    const same = before?.status === status;
    const lastTransitionTime = same ? before!.lastTransitionTime : new Date(nowMs).toISOString();
    return { type, status, reason, message, observedGeneration: generation, lastTransitionTime };
  };
}

export function programmed({ applied, of }: Applied, make: MakeCondition): Condition {
  const message = `${applied} of ${of} agents have applied it`;
  return applied >= of
    ? make('Programmed', 'True', 'Programmed', message)
    : make('Programmed', 'False', 'Pending', message);
}
