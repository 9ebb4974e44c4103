import type { ErrorObject } from 'ajv';
import { type FieldPath, fieldName } from './config-fault.ts';
import { nearestWord } from './nearest-word.ts';

type MakeFault<F> = (path: FieldPath, expected: string, found?: string) => F;

/**
 * What a JSON-Schema validator found, in a person's words. What was expected is the `description` of the
 * schema that did not fit: the same text that an editor shows.
 */
export function schemaFaults<F>(errors: readonly ErrorObject[], fault: MakeFault<F>): F[] {
  const faults = new Map<string, F>();
  const make: MakeFault<void> = (path, expected, found) => {
    faults.set(`${fieldName(path)}\0${expected}`, fault(path, expected, found));
  };
  for (const error of errors) {
    if (!repeatsAnother(error)) schemaFault(error, make);
  }
  return [...faults.values()];
}

/** `if` and `anyOf` speak for their branches; a name is reported by `propertyNames`, not by what it failed there. */
function repeatsAnother({ keyword, schemaPath, propertyName }: ErrorObject): boolean {
  return (
    keyword === 'if' ||
    schemaPath.includes('/anyOf/') ||
    (propertyName !== undefined && keyword !== 'propertyNames')
  );
}

function schemaFault(error: ErrorObject, fault: MakeFault<void>): void {
  const path = pathOf(error.instancePath);
  const schema = error.parentSchema as { description?: string; properties?: object } | undefined;
  switch (error.keyword) {
    case 'required':
      return fault([...path, String(error.params.missingProperty)], 'a value: this field is required');
    case 'additionalProperties': {
      const name = String(error.params.additionalProperty);
      const known = Object.keys(schema?.properties ?? {});
      const meant = nearestWord(name, known);
      const expected =
        meant === undefined ? `one of ${known.join(', ')}` : `${meant} (is that what was meant?)`;
      return fault([...path, name], expected, 'an unknown field');
    }
    case 'propertyNames': {
      const names = error.schema as { description?: string };
      const name = String(error.params.propertyName);
      return fault([...path, name], names.description ?? 'another name', 'a name that does not fit');
    }
    default:
      return fault(path, schema?.description ?? error.message ?? error.keyword);
  }
}

/** RFC 6901. */
function pathOf(pointer: string): (string | number)[] {
  const steps = pointer.split('/').slice(1);
  return steps.map((step) =>
    /^\d+$/.test(step) ? Number(step) : step.replaceAll('~1', '/').replaceAll('~0', '~'),
  );
}
