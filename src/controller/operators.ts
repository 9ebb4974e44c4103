/**
 * Operators as the controller knows them: whose credentials it has heard of, and which were revoked. A document holds without
 * having been heard of; a revocation is about a name, and so reaches those too.
 */
import type { OperatorView } from '../protocol/api.ts';
import { checkOperator, OPERATOR_MS_MAX, type Operator } from '../protocol/operator.ts';
import type { RootKeys } from '../protocol/signed-document.ts';
import type { Handlers } from './api/handlers.ts';
import type { Audit } from './audit.ts';
import { ControllerError } from './controller-error.ts';
import type { ChangedBy } from './identities/registry.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
import { type Listed, listKey } from './paging.ts';
import type { Serial } from './serial.ts';

export interface OperatorRecord {
  readonly name: string;
  /** Credentials of that name, newest last. Times in seconds. */
  readonly known: readonly Pick<Operator, 'role' | 'key' | 'iat' | 'exp'>[];
  /** What was issued until then (seconds) holds no more. */
  readonly revokedUntil?: number;
}

/** Where they are kept; written by the leader alone. */
export interface OperatorRecords {
  operator(name: string): OperatorRecord | undefined;
  operators(): Iterable<OperatorRecord>;
  /** @throws see `Store.apply` */
  keepOperator(record: OperatorRecord, by: ChangedBy, forgotten: readonly string[]): Promise<void>;
}

export interface OperatorsOptions {
  readonly records: OperatorRecords;
  readonly rootKeys: () => RootKeys;
  readonly mesh: string;
  readonly wallMs: () => number;
  /** Changes happen one after another. */
  readonly inTurn: Serial;
  readonly leading: () => boolean;
  /** A write failed: whether it has taken place is not known. */
  readonly failed: (error: unknown) => void;
  readonly audit: Pick<Audit, 'record'>;
  /** Brings the records up to date if another controller writes them. */
  readonly refresh: () => Promise<void>;
}

export type OperatorVerbs = Pick<Handlers, 'addOperator' | 'revokeOperator'>;

export interface Operators {
  /**
   * J2. Of a controller that does not lead, by what can be read; if nothing can, by what it has read last, so that `check`
   * still answers when the buckets do not.
   */
  revoked(operator: Operator): Promise<boolean>;
  view(): Listed<OperatorView>[];
  /** Credentials that hold now. */
  valid(): OperatorView[];
  readonly handlers: OperatorVerbs;
}

const FORGOTTEN_AT_ONCE = 100;

export function createOperators(options: OperatorsOptions): Operators {
  const { records, rootKeys, mesh, wallMs, leading, refresh, audit } = options;

  const inTurn = <Result>(task: () => Promise<Result>): Promise<Result> =>
    options.inTurn(async () => {
      if (!leading())
        throw new ControllerError('not_leading', 'this controller does not lead: the leader answers');
      return task();
    });

  const views = (): OperatorView[] =>
    [...records.operators()].flatMap((record) => record.known.map((one) => viewOf(record, one, wallMs())));

  /** Of those nothing is left that could still be used. */
  const over = (): string[] => {
    const nowS = wallMs() / 1000;
    const past = ({ known, revokedUntil = 0 }: OperatorRecord) =>
      known.every(({ exp }) => exp < nowS) && revokedUntil + OPERATOR_MS_MAX / 1000 < nowS;
    return [...records.operators()]
      .filter(past)
      .map(({ name }) => name)
      .slice(0, FORGOTTEN_AT_ONCE);
  };

  const keep = async (record: OperatorRecord, by: ChangedBy): Promise<void> => {
    const forgotten = over().filter((name) => name !== record.name);
    const isNew = records.operator(record.name) === undefined;
    const count = [...records.operators()].length - forgotten.length;
    if (isNew && count >= CONTROLLER_LIMITS.operatorsMax) {
      throw new ControllerError('unavailable', `${count} operators are kept already: use names again`);
    }
    await records.keepOperator(record, by, forgotten).catch((error: unknown) => {
      if (!(error instanceof ControllerError)) options.failed(error);
      throw error;
    });
  };

  return Object.freeze({
    async revoked({ name, iat }: Operator) {
      await refresh().catch(() => {});
      return iat <= (records.operator(name)?.revokedUntil ?? -1);
    },

    view: () => views().map((view) => ({ key: listKey(view.name, view.key), make: () => view })),
    valid: () => views().filter(({ state }) => state === 'valid'),

    handlers: Object.freeze({
      async addOperator({ document }, caller) {
        const operator = opened(() => checkOperator(rootKeys(), mesh, document, wallMs()));
        const { name, role, key, iat, exp } = operator;
        return inTurn(async () => {
          const nowS = wallMs() / 1000;
          const before = records.operator(name);
          if (iat <= (before?.revokedUntil ?? -1)) {
            throw new ControllerError(
              'denied',
              `operator ${name} was revoked after these credentials were made: make new ones`,
            );
          }
          const others = (before?.known ?? []).filter((one) => one.key !== key && one.exp > nowS);
          if (others.length >= CONTROLLER_LIMITS.credentialsPerOperatorMax) {
            throw new ControllerError(
              'conflict',
              `operator ${name} has ${others.length} credentials that have not expired: revoke it first`,
            );
          }
          const one = { role, key, iat, exp };
          const record = { ...before, name, known: [...others, one] };
          await keep(record, caller);
          const view = viewOf(record, one, wallMs());
          audit.record({
            verb: 'addOperator',
            author: caller.author,
            role: caller.role,
            about: `operator/${name}`,
            after: view,
          });
          return { operator: view };
        });
      },

      async revokeOperator({ name }, caller) {
        return inTurn(async () => {
          const nowS = Math.floor(wallMs() / 1000);
          const { known = [], revokedUntil = -1 } = records.operator(name) ?? {};
          const ended = known.filter(({ iat, exp }) => exp > nowS && iat > revokedUntil);
          // The clock of who made them may have been ahead of ours.
          const until = Math.max(nowS, ...known.map(({ iat }) => iat));
          await keep({ name, known, revokedUntil: until }, caller);
          audit.record({
            verb: 'revokeOperator',
            author: caller.author,
            role: caller.role,
            about: `operator/${name}`,
          });
          return { known: ended.length };
        });
      },
    } satisfies OperatorVerbs),
  });
}

function viewOf(
  { name, revokedUntil = -1 }: OperatorRecord,
  { role, key, iat, exp }: OperatorRecord['known'][number],
  nowMs: number,
): OperatorView {
  const state = iat <= revokedUntil ? 'revoked' : exp * 1000 <= nowMs ? 'expired' : 'valid';
  const time = (seconds: number) => new Date(seconds * 1000).toISOString();
  return { name, role, state, key, issued: time(iat), expires: time(exp) };
}

function opened(open: () => Operator): Operator {
  try {
    return open();
  } catch (cause) {
    throw new ControllerError('invalid', (cause as Error).message, undefined, { cause });
  }
}
