import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import type { ApiVerbs, Verb } from '../protocol/api.ts';
import type { ApiAnswer } from '../protocol/api-call.ts';
import { SCHEMA_OPTIONS } from '../protocol/schema-options.ts';

/** Reads what a call comes back with, once it is known to be the controller's. @throws Error if it is not what a controller answers */
export type AnswerReader = <V extends Verb>(verb: V, data: Uint8Array) => ApiAnswer<ApiVerbs[V]['response']>;

/** Checks answers by the schema of the API. What a newer controller adds to them is left out. */
export function createAnswerReader(): AnswerReader {
  const file = new URL('../../schemas/api.schema.json', import.meta.url);
  const schema = JSON.parse(readFileSync(file, 'utf8')) as { readonly $id: string };
  const ajv = new Ajv({
    ...SCHEMA_OPTIONS,
    removeAdditional: true,
    allowUnionTypes: true,
    schemas: [schema],
  });

  return (verb, data) => {
    const answer = parse(data);
    if (answer?.ok === true) {
      const validate = ajv.getSchema(`${schema.$id}#/$defs/${verb}Response`);
      if (validate?.(answer.response) === true) return answer as never;
    } else if (answer?.ok === false && isError(answer.error)) {
      return answer as never;
    }
    throw new Error(
      `the answer to ${verb} is not one that this release understands: are weft here and the controller of one release?`,
    );
  };
}

function parse(data: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message, faults } = value as Readonly<Record<string, unknown>>;
  const sound = typeof code === 'string' && typeof message === 'string';
  return sound && (faults === undefined || (Array.isArray(faults) && faults.every(isFault)));
}

function isFault(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { resource, path, found, expected } = value as Readonly<Record<string, unknown>>;
  return (
    Number.isSafeInteger(resource) &&
    Array.isArray(path) &&
    path.every((step) => typeof step === 'string' || typeof step === 'number') &&
    typeof found === 'string' &&
    typeof expected === 'string'
  );
}
