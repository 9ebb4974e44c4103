/**
 * The policies of one service as its snapshot carries them: what the controller makes of every AuthorizationPolicy that
 * has the service or the whole mesh as its target.
 */

/** What becomes of a request to a service that no ALLOW policy is about. */
export type DefaultAction = 'allow' | 'deny';

export interface Authorization {
  readonly defaultAction: DefaultAction;
  /** In the order of their names; of several that match the first is named. */
  readonly policies: readonly Policy[];
}

export interface Policy {
  /** `namespace/name` of the AuthorizationPolicy. */
  readonly policy: string;
  /** Of the resource, as `weft history` shows it. */
  readonly revision: number;
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT';
  /** One that matches is enough; none: the policy matches nothing. */
  readonly rules: readonly PolicyRule[];
}

/** What is absent matches everything; in each list one that matches is enough, of `when` all have to. */
export interface PolicyRule {
  /** As its author called it, else its place in the policy, from 0. */
  readonly name: string;
  readonly from?: readonly CallerMatch[];
  readonly to?: readonly RequestMatch[];
  readonly when?: readonly HeaderMatch[];
}

/** All that is there has to fit. */
export interface CallerMatch {
  /** `checkout.shop` */
  readonly services?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  /** SPIFFE IDs, with `*` at one end or alone; `anonymous` for who has none. */
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
}

/** All that is there has to fit. */
export interface RequestMatch {
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  /** See `path-pattern.ts`. */
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
  /** As the authority says, or HTTP's own. */
  readonly ports?: readonly number[];
  readonly headers?: readonly HeaderMatch[];
}

export interface HeaderMatch {
  /** In lower case. */
  readonly name: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
  readonly present?: boolean;
}

/** True if the policy can decide by the path. */
export function namesPaths({ rules }: Policy): boolean {
  return rules.some(({ to = [] }) =>
    to.some(({ paths, notPaths }) => paths !== undefined || notPaths !== undefined),
  );
}
