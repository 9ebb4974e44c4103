import { compileService } from '../../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../../src/controller/compile/resource-graph.ts';
import type { Resource } from '../../../src/controller/resources/resource.ts';
import type { Rule, Snapshot } from '../../../src/protocol/snapshot.ts';

export const KNOWN: ReadonlySet<string> = new Set([
  'orders.default',
  'users.default',
  'v1.default',
  'v2.default',
]);

export function compile(resources: readonly Resource[], service = 'orders.default'): Snapshot {
  const identity = { mesh: 'shop', epoch: 1, revision: 2 };
  return compileService(service, createCompileIndex(resources), KNOWN, identity);
}

/** The first rule of the producer's routes. */
export function firstRule(...resources: Resource[]): Rule {
  return compile(resources).producer.rules[0]!;
}

/** `name` of the rules of a set, in the order in which their matches are asked. */
export function order(snapshot: Snapshot): string[] {
  const { rules, matches } = snapshot.producer;
  return matches.map(({ rule }) => rules[rule]!.name ?? `${rules[rule]!.route}#${rules[rule]!.index}`);
}
