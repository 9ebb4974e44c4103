import type { ApiVerbs, Verb } from '../../protocol/api.ts';

/** Who calls; both are '' for verbs that change nothing. */
export interface Caller {
  /** For the history. */
  readonly author: string;
  readonly nonce: string;
}

/** What carries out each verb. They throw ControllerError where they refuse. */
export type Handlers = {
  readonly [V in Verb]: (request: ApiVerbs[V]['request'], caller: Caller) => Promise<ApiVerbs[V]['response']>;
};
