import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { KINDS } from './resource.ts';

/** RFC 3339, of a day and second that exist. */
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

const FORMATS = { 'weft-time': (text: string) => TIME.test(text) && !Number.isNaN(Date.parse(text)) };

/**
 * The checks of all kinds, by kind. The schemas are read where they stand, so that the files that people's editors
 * use and the checks cannot drift apart.
 */
export function compileResourceSchemas(): ReadonlyMap<string, ValidateFunction> {
  const schemas = KINDS.map(({ schema }) => load(schema));
  const options = { allErrors: true, verbose: true, strictRequired: false, strictTypes: false } as const;
  const ajv = new Ajv({ ...options, allowUnionTypes: true, formats: FORMATS, schemas });
  return new Map(
    KINDS.map(({ kind, schema }) => {
      const validate = ajv.getSchema(`https://weft.dev/schemas/${schema}.schema.json`);
      if (validate === undefined) throw new Error(`no schema named ${schema}`);
      return [kind, validate];
    }),
  );
}

function load(name: string): object {
  return JSON.parse(readFileSync(new URL(`../../../schemas/${name}.schema.json`, import.meta.url), 'utf8'));
}
