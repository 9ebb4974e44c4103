import { WeftError } from '../errors.ts';
import type { Fields } from '../fields.ts';
import { ruleName } from '../snapshot.ts';
import { applyCors } from './cors.ts';
import { headExcess } from './head-excess.ts';
import { modifyFields } from './header-modifier.ts';
import type { ForwardPlan } from './plan.ts';

/**
 * The lines of a response as the route of its request changes them.
 * @throws WeftError `response_head_too_large`
 */
export function responseFields(
  { rule, modifiers, cors }: Pick<ForwardPlan, 'rule' | 'modifiers' | 'cors'>,
  fields: Fields,
): Fields {
  if (modifiers.length === 0 && cors === undefined) return fields;
  const modified = modifiers.reduce(modifyFields, fields);
  const changed = cors === undefined ? modified : applyCors(modified, cors);
  const excess = headExcess(changed, '');
  if (excess === undefined) return changed;
  throw new WeftError(
    'response_head_too_large',
    `${ruleName(rule)}: with what the route adds, the head ${excess}`,
  );
}
