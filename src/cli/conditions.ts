/** What the status of a resource says, whatever the status holds: the controller's word is shown, not relied on. */
import type { ResourceDocument } from '../protocol/api.ts';

export interface ShownCondition {
  /** Like `Service orders`; '' for resources without parents. */
  readonly parent: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export function conditionsOf({ status }: ResourceDocument): ShownCondition[] {
  const { parents, conditions } = mapping(status);
  if (!Array.isArray(parents)) return shown('', conditions);
  return parents.flatMap((parent: unknown) => {
    const { parentRef, conditions: said } = mapping(parent);
    const { kind, name, namespace } = mapping(parentRef);
    const at = namespace === undefined ? '' : `.${text(namespace)}`;
    return shown(`${text(kind)} ${text(name)}${at}`, said);
  });
}

/** `yes`, or why not; of several parents the first that says no. '' if nothing is said. */
export function verdict(resource: ResourceDocument, type: string): string {
  const found = conditionsOf(resource).filter((condition) => condition.type === type);
  if (found.length === 0) return '';
  const no = found.find(({ status }) => status !== 'True');
  if (no === undefined) return 'yes';
  return no.reason === 'Pending' ? `no: ${no.message}` : `no: ${no.reason}`;
}

function shown(parent: string, conditions: unknown): ShownCondition[] {
  if (!Array.isArray(conditions)) return [];
  return conditions.map((condition: unknown) => {
    const { type, status, reason, message } = mapping(condition);
    return { parent, type: text(type), status: text(status), reason: text(reason), message: text(message) };
  });
}

function mapping(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
