/** Who may call which verb of the API; whoever has a role may do what those below it may (`hasRole`). */
import type { Verb } from './api.ts';
import { hasRole, type Role } from './operator.ts';

/** `host`: whoever has a join token. `agent`: whoever is enrolled. What these two send proves by itself who they are. */
export type VerbRight = Role | 'agent' | 'host';

export const VERB_RIGHTS: Readonly<Record<Verb, VerbRight>> = Object.freeze({
  join: 'host',
  renew: 'agent',
  get: 'viewer',
  history: 'viewer',
  agents: 'viewer',
  endpoints: 'viewer',
  services: 'viewer',
  programmed: 'viewer',
  snapshot: 'viewer',
  check: 'viewer',
  identities: 'viewer',
  operators: 'viewer',
  audit: 'viewer',
  apply: 'editor',
  delete: 'editor',
  rollback: 'editor',
  token: 'admin',
  revoke: 'admin',
  rotate: 'admin',
  addOperator: 'admin',
  revokeOperator: 'admin',
});

/** The verbs that an operator of this role may call. */
export function verbsOfRole(role: Role): readonly Verb[] {
  return verbs().filter((verb) => {
    const right = VERB_RIGHTS[verb];
    return right !== 'agent' && right !== 'host' && hasRole(role, right);
  });
}

/** The verbs that ask for exactly this right. */
export function verbsOf(right: VerbRight): readonly Verb[] {
  return verbs().filter((verb) => VERB_RIGHTS[verb] === right);
}

function verbs(): Verb[] {
  return Object.keys(VERB_RIGHTS) as Verb[];
}
