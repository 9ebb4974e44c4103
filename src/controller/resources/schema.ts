import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { SCHEMA_OPTIONS } from '../../protocol/schema-options.ts';
import { KINDS, type Kind } from './resource.ts';

/** RFC 3339, of a day and second that exist. */
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

const FORMATS = { 'weft-time': (text: string) => TIME.test(text) && !Number.isNaN(Date.parse(text)) };

/**
 * Gives the check of a kind, which is compiled when it is asked for first: most commands read resources of one kind. The
 * schemas are read where they stand, so that the files that people's editors use and the checks cannot drift apart.
 */
export function loadResourceSchemas(): (kind: Kind) => ValidateFunction {
  const schemas = KINDS.map(({ schema }) => load(schema));
  const strict = { strictTypes: false, allowUnionTypes: true } as const;
  const ajv = new Ajv({
    ...SCHEMA_OPTIONS,
    ...strict,
    allErrors: true,
    verbose: true,
    formats: FORMATS,
    schemas,
  });
  return ({ schema }) => {
    const validate = ajv.getSchema(`https://weft.dev/schemas/${schema}.schema.json`);
    if (validate === undefined) throw new Error(`no schema named ${schema}`);
    return validate;
  };
}

function load(name: string): object {
  return JSON.parse(readFileSync(new URL(`../../../schemas/${name}.schema.json`, import.meta.url), 'utf8'));
}
