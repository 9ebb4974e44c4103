/** What a policy says of a request. Log, metric, `weft explain` and `weft authz check` all print this same value. */
export interface Decision {
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT';
  readonly service: string;
  /** `namespace/name`; `mesh` where no policy matches and that decides. */
  readonly policy: string;
  /** Its name, else its place in the policy; of `mesh`, one of `MESH_RULES`. */
  readonly rule: string;
  /** Of the policy; of `mesh`, the number of the service's snapshot. */
  readonly revision: number;
}

export const MESH_POLICY = 'mesh';

/**
 * What decides where no policy matches: the mesh's default, that it lets nobody in who has no identity, or that there is an ALLOW and
 * it does not match.
 */
export const MESH_RULES = Object.freeze({
  allow: 'default-allow',
  deny: 'default-deny',
  anonymous: 'no-identity',
  unmatched: 'no-allow-matches',
});

/** In words: `DENY by default/no-admin rule 0 (revision 17)`. */
export function decisionText({ action, policy, rule, revision }: Decision): string {
  return policy === MESH_POLICY
    ? `${action} by the mesh: ${rule} (snapshot ${revision})`
    : `${action} by ${policy} rule ${rule} (revision ${revision})`;
}
