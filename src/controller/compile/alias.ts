/**
 * What an alias leads to: what snapshots do and what status says is one decision. A service that is there has its name
 * whatever aliases others have, and of two with one alias the first by name has it: no call changes its way by chance.
 */
import type { Resource } from '../resources/resource.ts';
import { aliasesOf, serviceName } from '../resources/service.ts';
import type { CompileIndex } from './resource-graph.ts';

/** What aliases are judged by. `knownServices` are those that agents have announced. */
export interface AliasContext {
  readonly index: CompileIndex;
  readonly knownServices: ReadonlySet<string>;
}

/** The service that a name is an alias of; undefined if it is none, or has no effect. */
export function aliasTarget(name: string, context: AliasContext): string | undefined {
  const [owner] = context.index.aliasOwners(name);
  return owner === undefined || namesake(name, context) !== undefined ? undefined : owner;
}

/** Why aliases of a Service have no effect, in words; none if all have. */
export function aliasConflicts(resource: Resource, context: AliasContext): string[] {
  const service = serviceName(resource);
  return aliasesOf(resource).flatMap(({ alias, name }) => {
    const why = namesake(name, context) ?? otherOwner(name, service, context.index);
    return why === undefined ? [] : [`alias ${alias} has no effect: ${why}`];
  });
}

function namesake(name: string, { index, knownServices }: AliasContext): string | undefined {
  if (index.serviceSpec(name) !== undefined) return `there is a Service ${name}`;
  if (knownServices.has(name)) return `agents serve ${name}, or have within the last day`;
  return index.routesOf(name).length > 0 ? `routes are attached to ${name}` : undefined;
}

function otherOwner(name: string, service: string, index: CompileIndex): string | undefined {
  const [owner] = index.aliasOwners(name);
  return owner === undefined || owner === service ? undefined : `it is an alias of ${owner} too`;
}
