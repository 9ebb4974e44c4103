/** What a rule says of its sessions, beyond its form: can it be done, and does no other rule stand in its way? */
import type { FieldPath } from '../../protocol/config-fault.ts';
import { parseDuration } from '../../protocol/duration.ts';
import { mayChange } from '../../protocol/routes/header-modifier.ts';
import { compileSession } from '../compile/compile-session.ts';
import { routeName } from '../compile/precedence.ts';
import { parentsOf } from '../compile/resource-graph.ts';
import { type HttpRoute, isHttpRoute, rulesOf } from './http-route.ts';
import type { Resource } from './resource.ts';

interface SessionRule {
  readonly route: HttpRoute;
  readonly at: number;
}

type Refuse = (resource: Resource, path: FieldPath, expected: string, found: string) => void;

/**
 * Two rules of one parent that know their sessions by the same cookie or header would end each other's with every
 * answer, so the later one is refused (A8). The same cookie name at two paths is two cookies.
 * @param changed what is to be stored
 * @param all what is stored after that
 */
export function checkSessions(changed: readonly Resource[], all: Iterable<Resource>, refuse: Refuse): void {
  const routes = changed.filter(isHttpRoute).filter(keepsSessions);
  if (routes.length === 0) return;
  const owners = new Map<string, SessionRule[]>();
  for (const resource of all) {
    if (!isHttpRoute(resource)) continue;
    for (const { key, ...owner } of sessionsOf(resource)) {
      const others = owners.get(key);
      if (others === undefined) owners.set(key, [owner]);
      else others.push(owner);
    }
  }
  for (const route of routes) {
    checkEach(route, refuse);
    const told = new Set<number>();
    for (const { key, at, name } of sessionsOf(route)) {
      const other = owners.get(key)?.find((one) => one.route !== route || one.at < at);
      if (other === undefined || told.has(at)) continue;
      told.add(at);
      const where = `rule ${other.at} of ${routeName(other.route)}`;
      refuse(route, pathOf(at), `a name that ${where}, with the same parent, does not have already`, name);
    }
  }
}

function checkEach(route: HttpRoute, refuse: Refuse): void {
  for (const [at, { sessionPersistence: raw }] of rulesOf(route).entries()) {
    const header = raw?.header?.name;
    if (header !== undefined && !mayChange(header.toLowerCase())) {
      refuse(route, [...pathOf(at), 'header', 'name'], 'a header that a route may set', header);
    }
    if (raw?.cookie?.lifetimeType === 'Permanent' && parseDuration(raw.absoluteTimeout ?? '') === 0) {
      const expected = 'more than 0s, as the cookie is permanent';
      refuse(route, [...pathOf(at), 'absoluteTimeout'], expected, raw.absoluteTimeout ?? '');
    }
  }
}

function keepsSessions(route: HttpRoute): boolean {
  return rulesOf(route).some(({ sessionPersistence }) => sessionPersistence !== undefined);
}

/** `key` is the same for rules that cannot both keep sessions: callers of one namespace use them, under one host. */
function* sessionsOf(route: HttpRoute): Generator<SessionRule & { key: string; name: string }> {
  if (!keepsSessions(route)) return;
  for (const at of rulesOf(route).keys()) {
    const session = compileSession(route, at);
    if (session === undefined) continue;
    const { type, name } = session;
    const path = session.type === 'Cookie' ? session.path : '';
    for (const parent of parentsOf(route)) {
      yield { route, at, name, key: [parent, route.metadata.namespace, type, name, path].join('\0') };
    }
  }
}

function pathOf(at: number): FieldPath {
  return ['spec', 'rules', at, 'sessionPersistence'];
}
