import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { parseDuration } from '../protocol/duration.ts';
import { SCHEMA_OPTIONS } from '../protocol/schema-options.ts';
import { isSocketPath, parseListen, parseLoopback, parseUpstream } from './address.ts';

const DURATION_MS_MAX = 24 * 3_600_000;

/** The `format`s of our schemas: what a regular expression could only say badly. */
const FORMATS = {
  'weft-duration': (text: string) => {
    const ms = parseDuration(text) ?? 0;
    return ms >= 1 && ms <= DURATION_MS_MAX;
  },
  'weft-loopback': (text: string) => parseLoopback(text) !== undefined,
  'weft-listen': (text: string) => parseListen(text) !== undefined,
  'weft-socket-path': isSocketPath,
  'weft-statuses': (text: string) => {
    const [, from, to = from] = /^([2-5][0-9]{2})(?:-([2-5][0-9]{2}))?$/.exec(text) ?? [];
    return from !== undefined && to !== undefined && from <= to;
  },
  'weft-upstream': (text: string) => parseUpstream(text) !== undefined,
};

/**
 * Compiles a schema of `schemas/`, with those that it refers to. They are read where they stand, so that the
 * files that people's editors use and the checks cannot drift apart.
 */
export function compileSchema(name: 'agent' | 'mesh'): ValidateFunction {
  const schemas = [load('agent'), load('mesh')];
  const ajv = new Ajv({ ...SCHEMA_OPTIONS, allErrors: true, verbose: true, formats: FORMATS, schemas });
  const validate = ajv.getSchema(`https://weft.dev/schemas/${name}.schema.json`);
  if (validate === undefined) throw new Error(`no schema named ${name}`);
  return validate;
}

function load(name: string): object {
  return JSON.parse(readFileSync(new URL(`../../schemas/${name}.schema.json`, import.meta.url), 'utf8'));
}
