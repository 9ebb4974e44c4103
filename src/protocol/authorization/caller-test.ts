import type { CallerMatch } from './authorization.ts';
import type { Subject } from './subject.ts';

/** The principal of callers that have no identity. */
const ANONYMOUS = 'anonymous';

/**
 * Whether a caller fits one entry of `from`.
 * @param strict of an ALLOW: who calls anonymously fits only what names `anonymous`, not what merely leaves others out.
 *   A DENY that leaves others out is about anonymous callers too
 */
export function callerTest(match: CallerMatch, strict: boolean): (subject: Subject) => boolean {
  const services = match.services && new Set(match.services);
  const namespaces = match.namespaces && new Set(match.namespaces);
  const notNamespaces = match.notNamespaces && new Set(match.notNamespaces);
  const principals = match.principals && principalTest(match.principals);
  const notPrincipals = match.notPrincipals && principalTest(match.notPrincipals);
  return (subject) => {
    const { caller } = subject.request;
    const { namespace, principal } = subject;
    if (services !== undefined && (caller === undefined || !services.has(caller))) return false;
    if (namespaces !== undefined && (namespace === undefined || !namespaces.has(namespace))) return false;
    if (principals !== undefined && !principals(principal)) return false;
    if (caller === undefined && strict && principals === undefined) return false;
    if (notNamespaces !== undefined && namespace !== undefined && notNamespaces.has(namespace)) return false;
    return notPrincipals === undefined || !notPrincipals(principal);
  };
}

/** `undefined` is nobody: it fits `anonymous` only. */
function principalTest(patterns: readonly string[]): (principal: string | undefined) => boolean {
  const exact = new Set<string>();
  const prefixes: string[] = [];
  const suffixes: string[] = [];
  for (const pattern of patterns) {
    if (pattern.endsWith('*')) prefixes.push(pattern.slice(0, -1));
    else if (pattern.startsWith('*')) suffixes.push(pattern.slice(1));
    else exact.add(pattern);
  }
  return (principal) => {
    if (principal === undefined) return exact.has(ANONYMOUS);
    return (
      exact.has(principal) ||
      prefixes.some((prefix) => principal.startsWith(prefix)) ||
      suffixes.some((suffix) => principal.endsWith(suffix))
    );
  };
}
