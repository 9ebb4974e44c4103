/** The schemas of the API, read where they stand, so that what is checked and what is published cannot drift apart. */
import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import type { Verb } from '../../protocol/api.ts';
import { type ConfigFault, fieldName, shownValue } from '../../protocol/config-fault.ts';
import { schemaFaults } from '../../protocol/schema-faults.ts';
import { SCHEMA_OPTIONS } from '../../protocol/schema-options.ts';
import { ControllerError } from '../controller-error.ts';

type Schema = Readonly<Record<string, unknown>>;

export interface ApiSchema {
  readonly verbs: readonly Verb[];
  /** All definitions, by name. */
  readonly definitions: Readonly<Record<string, Schema>>;
  /** One sentence on what the verb does. */
  summary(verb: Verb): string;
  /** @throws ControllerError `invalid`, naming everything that does not fit */
  check(verb: Verb, request: unknown): void;
  /** A schema that stands for itself, as JSON text. */
  text(verb: Verb, side: 'Request' | 'Response'): string;
}

const ID = 'https://weft.dev/schemas/api.schema.json';

export function loadApiSchema(): ApiSchema {
  const file = new URL('../../../schemas/api.schema.json', import.meta.url);
  const schema = JSON.parse(readFileSync(file, 'utf8')) as { readonly $defs: Record<string, Schema> };
  const definitions = schema.$defs;
  const ajv = new Ajv({
    ...SCHEMA_OPTIONS,
    allErrors: true,
    verbose: true,
    allowUnionTypes: true,
    schemas: [schema],
  });
  const verbs = Object.keys(definitions)
    .filter((name) => name.endsWith('Request'))
    .map((name) => name.slice(0, -'Request'.length) as Verb);

  return Object.freeze({
    verbs,
    definitions,
    summary: (verb: Verb) => String(definitions[`${verb}Request`]?.title ?? ''),
    check(verb: Verb, request: unknown) {
      // It is compiled when it is asked for first.
      const validate = ajv.getSchema(`${ID}#/$defs/${verb}Request`) as ValidateFunction;
      if (validate(request)) return;
      const faults = schemaFaults(validate.errors ?? [], (path, expected, found) =>
        faultAt(request, path, expected, found),
      );
      const said = faults.slice(0, 10).map(({ field, found, expected }) => {
        return `${field === '' ? 'the request' : field}: found ${found}, expected ${expected}`;
      });
      throw new ControllerError('invalid', `${verb}: ${said.join('; ')}`);
    },
    text: (verb: Verb, side: 'Request' | 'Response') =>
      JSON.stringify(expand(definitions[`${verb}${side}`] ?? {}, definitions)),
  });
}

function faultAt(
  request: unknown,
  path: readonly (string | number)[],
  expected: string,
  found?: string,
): ConfigFault {
  let value = request;
  for (const step of path) value = (value as Record<string | number, unknown> | undefined)?.[step];
  const field = fieldName(path);
  return { file: '', line: 0, column: 0, field, found: found ?? shownValue(value), expected };
}

/** Puts what is referred to in its place; our schemas do not refer to themselves. */
function expand(schema: unknown, definitions: Readonly<Record<string, Schema>>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => expand(one, definitions));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $ref } = schema as { $ref?: unknown };
  if (typeof $ref === 'string') return expand(definitions[$ref.replace('#/$defs/', '')] ?? {}, definitions);
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, expand(value, definitions)]));
}
