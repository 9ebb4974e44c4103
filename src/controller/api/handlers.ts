import type { ApiVerbs, Verb } from '../../protocol/api.ts';
import type { Role } from '../../protocol/operator.ts';

/** Who calls. */
export interface Caller {
  /** For the history: an operator's name, or `user@host (root)`; '' where nobody has to say so. */
  readonly author: string;
  readonly role: Role | 'root';
  readonly nonce: string;
}

/** What carries out each verb. They throw ControllerError where they refuse. */
export type Handlers = {
  readonly [V in Verb]: (request: ApiVerbs[V]['request'], caller: Caller) => Promise<ApiVerbs[V]['response']>;
};
