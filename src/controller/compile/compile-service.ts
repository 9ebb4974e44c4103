/** All resources that concern a service → its snapshot. Pure: the same resources give the same snapshot, byte for byte. */
import { isServiceName, serviceParts } from '../../protocol/names.ts';
import type { Match, RouteSet, Rule, Snapshot } from '../../protocol/snapshot.ts';
import { type HttpRoute, matchesOf, rulesOf } from '../resources/http-route.ts';
import { aliasTarget } from './alias.ts';
import { attachedPorts } from './attachment.ts';
import type { Known } from './backend-check.ts';
import { ALLOW_BY_DEFAULT, compileAuthorization } from './compile-authorization.ts';
import { compileMatch } from './compile-match.ts';
import { compileRule } from './compile-rule.ts';
import { compileEvidence } from './compile-traffic.ts';
import { compareAge, compareMatches } from './precedence.ts';
import type { CompileIndex } from './resource-graph.ts';

const NO_ROUTES: RouteSet = Object.freeze({ rules: [], matches: [] });

export interface SnapshotIdentity {
  readonly mesh: string;
  /** When the store was made, and the number of this revision within it. */
  readonly epoch: number;
  readonly revision: number;
}

/** @param service what the snapshot is about: `orders.default`, or a name that is or was an alias */
export function compileService(
  service: string,
  index: CompileIndex,
  knownServices: ReadonlySet<string>,
  { mesh, epoch, revision }: SnapshotIdentity,
  authorized = ALLOW_BY_DEFAULT,
): Snapshot {
  const known: Known = { index, knownServices };
  const of = { version: 1, mesh, service, revision: [epoch, revision] } as const;
  const aliasOf = aliasTarget(service, { index, knownServices });
  if (aliasOf !== undefined) return { ...of, aliasOf, producer: NO_ROUTES, consumers: {} };
  // A host name that was an alias once is nothing that could be asked for anything.
  const authorization = isServiceName(service)
    ? compileAuthorization(index.policiesOf(service), authorized)
    : undefined;
  const evidence = compileEvidence(service, index);
  const { exposure = 'mesh' } = index.serviceSpec(service) ?? {};
  const home = serviceParts(service).namespace;
  const byNamespace = Map.groupBy(index.routesOf(service), ({ metadata }) => metadata.namespace);
  const consumers: Record<string, RouteSet> = {};
  for (const namespace of [...byNamespace.keys()].sort()) {
    if (namespace === home) continue;
    const set = compileRoutes(byNamespace.get(namespace)!, service, known);
    // Without a rule that holds for it there is no consumer route, and its callers follow the producer.
    if (set.rules.length > 0) consumers[namespace] = set;
  }
  return {
    ...of,
    ...(exposure === 'mesh' ? {} : { exposure }),
    ...(evidence === undefined ? {} : { evidence }),
    ...(authorization === undefined ? {} : { authorization }),
    producer: compileRoutes(byNamespace.get(home) ?? [], service, known),
    consumers,
  };
}

function compileRoutes(routes: readonly HttpRoute[], service: string, known: Known): RouteSet {
  const rules: Rule[] = [];
  const matches: Match[] = [];
  for (const route of routes.toSorted(compareAge)) {
    const ports = attachedPorts(route, service, known.index);
    if (ports.length === 0) continue;
    for (const [at, raw] of rulesOf(route).entries()) {
      for (const match of matchesOf(raw)) {
        for (const port of ports) matches.push(compileMatch(match, rules.length, port));
      }
      rules.push(compileRule(route, at, service, known));
    }
  }
  // The sort is stable: what ties stays in the order of routes (the oldest first) and of rules in them.
  return { rules, matches: matches.sort(compareMatches) };
}
