/** What an operator asks for, as a change set: checked, compared with what is stored, everything wrong at once. */
import { isDeepStrictEqual } from 'node:util';
import type { ResourceName } from '../protocol/api.ts';
import type { ApiFault } from '../protocol/api-call.ts';
import { shownValue } from '../protocol/config-fault.ts';
import { ControllerError } from './controller-error.ts';
import type { PlannedChange } from './policy.ts';
import { keyOf, type Resource, resourceKey } from './resources/resource.ts';
import { validateResource } from './resources/validate.ts';
import type { StoredResource } from './store.ts';

type Lookup = (key: string) => StoredResource<Resource> | undefined;

/** `unchanged`: a key whose resource stands as it was asked for. */
export interface ChangeSet {
  readonly changes: readonly PlannedChange[];
  readonly unchanged: readonly string[];
}

/** @throws ControllerError `invalid` with every fault of every resource */
export function planApply(values: readonly unknown[], lookup: Lookup, nowMs: number): ChangeSet {
  const faults: ApiFault[] = [];
  const first = new Map<string, number>();
  const changes: PlannedChange[] = [];
  const unchanged: string[] = [];
  for (const [index, value] of values.entries()) {
    const { resource, faults: found } = validateResource(value);
    faults.push(...found.map((fault) => ({ resource: index, ...fault })));
    if (resource === undefined) continue;
    const key = resourceKey(resource);
    const other = first.get(key);
    if (other !== undefined) {
      const { kind, metadata } = resource;
      const found = shownValue(`${kind} ${metadata.namespace}/${metadata.name}`);
      const expected = `each resource once: number ${other + 1} is the same`;
      faults.push({ resource: index, path: ['metadata', 'name'], found, expected });
      continue;
    }
    first.set(key, index);
    const before = lookup(key);
    const after = dated(resource, before?.resource, nowMs);
    if (isDeepStrictEqual(after, before?.resource)) unchanged.push(key);
    else changes.push({ at: index, key, before, after });
  }
  if (faults.length > 0) throw new ControllerError('invalid', faultCount(faults), faults);
  return { changes, unchanged };
}

/** @throws ControllerError `not_found` if one of them is not there */
export function planDelete(names: readonly ResourceName[], lookup: Lookup): ChangeSet {
  const changes = new Map<string, PlannedChange>();
  const missing: string[] = [];
  for (const [at, name] of names.entries()) {
    const key = keyOf(name);
    const before = lookup(key);
    if (before === undefined) missing.push(`${name.kind} ${name.namespace}/${name.name}`);
    else changes.set(key, { at, key, before, after: undefined });
  }
  if (missing.length > 0) {
    throw new ControllerError(
      'not_found',
      `there is no ${missing.slice(0, 10).join(', no ')}; nothing was deleted`,
    );
  }
  return { changes: [...changes.values()], unchanged: [] };
}

/** The time of the first revision stays, unless the author gives one. */
function dated(resource: Resource, before: Resource | undefined, nowMs: number): Resource {
  const { creationTimestamp, ...metadata } = resource.metadata;
  const time = creationTimestamp ?? before?.metadata.creationTimestamp ?? new Date(nowMs).toISOString();
  return { ...resource, metadata: { ...metadata, creationTimestamp: time } };
}

export function faultCount(faults: readonly ApiFault[]): string {
  const resources = new Set(faults.map(({ resource }) => resource)).size;
  return `${faults.length === 1 ? 'one fault' : `${faults.length} faults`} in ${
    resources === 1 ? 'one resource' : `${resources} resources`
  }; nothing was changed`;
}
