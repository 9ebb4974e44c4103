import { parseDuration } from '../../protocol/duration.ts';
import type { Backend, Retry, Rule, Timeouts } from '../../protocol/snapshot.ts';
import { type HttpRoute, type RawBackendRef, type RawRule, rulesOf } from '../resources/http-route.ts';
import { checkBackend, type Known } from './backend-check.ts';
import { compileFilters } from './compile-filter.ts';
import { compileSession } from './compile-session.ts';
import { routeName } from './precedence.ts';

/** What a retry stanza leaves open is left to us (HTTPROUTE.md A1): one more try, after the mesh's own back-off. */
const RETRY_ATTEMPTS = 1;
const RETRY_BACKOFF_MS = 0;

/** A rule of a route that is attached to `service`, with its defaults. */
export function compileRule(route: HttpRoute, index: number, service: string, known: Known): Rule {
  const raw = rulesOf(route)[index]!;
  const retry = compileRetry(raw);
  const session = compileSession(route, index);
  return {
    route: routeName(route),
    index,
    ...(raw.name === undefined ? {} : { name: raw.name }),
    filters: compileFilters(raw.filters, raw, route.metadata, known),
    backends: compileBackends(raw, route, service, known),
    timeouts: compileTimeouts(raw),
    ...(retry === undefined ? {} : { retry }),
    ...(session === undefined ? {} : { session }),
  };
}

/** A rule without backends goes to its own service (GEP-1686), unless a redirect answers. */
function compileBackends(raw: RawRule, route: HttpRoute, service: string, known: Known): Backend[] {
  const backends = raw.backendRefs ?? [];
  if (backends.length > 0) return backends.map((backend) => compileBackend(backend, raw, route, known));
  const answers = (raw.filters ?? []).some(({ type }) => type === 'RequestRedirect');
  return answers ? [] : [{ service, weight: 1, filters: [] }];
}

/** One that cannot be used keeps its weight, so that its share of the requests fails and no other share grows. */
function compileBackend(backend: RawBackendRef, raw: RawRule, route: HttpRoute, known: Known): Backend {
  const { service, invalid } = checkBackend(backend, route.metadata, known);
  return {
    service,
    weight: backend.weight ?? 1,
    filters: compileFilters(backend.filters, raw, route.metadata, known),
    ...(invalid === undefined ? {} : { invalid: invalid.reason }),
  };
}

function compileTimeouts({ timeouts = {} }: RawRule): Timeouts {
  const requestMs = parseDuration(timeouts.request ?? '');
  const backendRequestMs = parseDuration(timeouts.backendRequest ?? '');
  return {
    ...(requestMs === undefined ? {} : { requestMs }),
    ...(backendRequestMs === undefined ? {} : { backendRequestMs }),
  };
}

function compileRetry({ retry }: RawRule): Retry | undefined {
  if (retry === undefined) return undefined;
  return {
    codes: retry.codes ?? [],
    attempts: retry.attempts ?? RETRY_ATTEMPTS,
    backoffMs: parseDuration(retry.backoff ?? '') ?? RETRY_BACKOFF_MS,
  };
}
