import type { Match, PathMatchType, ValueMatch } from '../../protocol/snapshot.ts';
import type { RawMatch, RawValueMatch } from '../resources/http-route.ts';

/** A match with its defaults (HTTPROUTE.md A1). Of equivalent header names the first counts (A3). */
export function compileMatch(raw: RawMatch, rule: number, port: number | undefined): Match {
  return {
    rule,
    path: { type: (raw.path?.type ?? 'PathPrefix') as PathMatchType, value: raw.path?.value ?? '/' },
    ...(raw.method === undefined ? {} : { method: raw.method }),
    headers: valueMatches(raw.headers ?? [], (name) => name.toLowerCase()),
    query: valueMatches(raw.queryParams ?? [], (name) => name),
    ...(port === undefined ? {} : { port }),
  };
}

function valueMatches(raw: readonly RawValueMatch[], canonical: (name: string) => string): ValueMatch[] {
  const matches = new Map<string, ValueMatch>();
  for (const { type = 'Exact', name, value } of raw) {
    const key = canonical(name);
    if (!matches.has(key)) matches.set(key, { type, name: key, value });
  }
  return [...matches.values()];
}
