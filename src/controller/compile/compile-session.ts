import { hash } from 'node:crypto';
import { parseDuration } from '../../protocol/duration.ts';
import type { Session } from '../../protocol/snapshot.ts';
import { type HttpRoute, rulesOf } from '../resources/http-route.ts';
import { routeName } from './precedence.ts';

/**
 * How a rule knows its sessions, with the defaults of A8; undefined if it keeps none. A cookie without a name gets one
 * that no other rule has, and that stays as long as the rule keeps its own name, or its place.
 */
export function compileSession(route: HttpRoute, index: number): Session | undefined {
  const { name: ruleName, sessionPersistence: raw } = rulesOf(route)[index]!;
  if (raw === undefined) return undefined;
  // `0s` is no limit, as it is for timeouts (A6).
  const absoluteMs = parseDuration(raw.absoluteTimeout ?? '') || undefined;
  const end = absoluteMs === undefined ? {} : { absoluteMs };
  if (raw.header !== undefined) return { type: 'Header', name: raw.header.name.toLowerCase(), ...end };
  const { name, path = '', lifetimeType } = raw.cookie ?? {};
  return {
    type: 'Cookie',
    name: name ?? (raw.sessionName || generatedName(routeName(route), ruleName ?? `#${index}`)),
    path: path === '' ? '/' : path,
    permanent: lifetimeType === 'Permanent',
    ...end,
  };
}

function generatedName(route: string, rule: string): string {
  return `weft-session-${hash('sha256', `${route}\0${rule}`).slice(0, 12)}`;
}
