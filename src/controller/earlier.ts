/** Resources as they stood at an earlier revision: what the history of each says, the deleted ones among them. */
import type { ApiVerbs, ResourceDocument } from '../protocol/api.ts';
import { ControllerError } from './controller-error.ts';
import { type Listed, listKey } from './paging.ts';
import { parseResourceKey, type Resource } from './resources/resource.ts';
import type { Store } from './store.ts';

type GetRequest = ApiVerbs['get']['request'];

/**
 * @param at number of a change set
 * @throws ControllerError `not_found` if there is none of that number yet, or a history no longer goes back that far
 */
export async function resourcesAt(
  store: Pick<Store<Resource>, 'at' | 'keys' | 'history'>,
  { kind, namespace, name }: GetRequest,
  at: number,
): Promise<Listed<ResourceDocument>[]> {
  const [, last] = store.at;
  if (at > last)
    throw new ControllerError('not_found', `there is no revision ${at}: the last one is ${last}`);
  const found: Listed<ResourceDocument>[] = [];
  for (const key of store.keys()) {
    const id = parseResourceKey(key);
    if (id === undefined || (kind !== undefined && id.kind !== kind)) continue;
    if (namespace !== undefined && id.namespace !== namespace) continue;
    if (name !== undefined && id.name !== name) continue;
    const entries = await store.history(key);
    const then = entries.findLast(({ revision }) => revision <= at);
    const [oldest] = entries;
    if (then === undefined && oldest !== undefined && oldest.change !== 'created') {
      const what = `${id.kind} ${id.namespace}/${id.name}`;
      throw new ControllerError(
        'not_found',
        `the history of ${what} goes back to revision ${oldest.revision} only`,
      );
    }
    if (then === undefined || then.resource === null) continue;
    const { resource, revision } = then;
    const document = { ...resource, metadata: { ...resource.metadata, revision } };
    found.push({ key: listKey(id.kind, id.namespace, id.name), make: () => document });
  }
  return found;
}
