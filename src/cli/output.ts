import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** How a command prints data: for people, or for programs. */
export type OutputFormat = 'table' | 'json' | 'yaml';

export const OUTPUT_FORMATS: readonly OutputFormat[] = ['table', 'json', 'yaml'];

/** Prints data on stdout; `table` is called for what people read, and ends in a line end. */
export function print(format: OutputFormat, data: unknown, table: () => string): void {
  process.stdout.write(format === 'table' ? table() : dataText(format, data));
}

export function dataText(format: 'json' | 'yaml', data: unknown): string {
  return format === 'json' ? withoutControls(`${JSON.stringify(data, null, 2)}\n`) : yamlText(data);
}

/**
 * YAML as people write it: no anchors, no folded lines, and in quotes what readers of YAML 1.1 take for something else.
 */
export function yamlText(data: unknown): string {
  // Most commands print none, and it would be a quarter of their start.
  const { stringify } = require('yaml') as typeof import('yaml');
  const options = { aliasDuplicateObjects: false, compat: 'yaml-1.1', lineWidth: 0 } as const;
  return withoutControls(stringify(data, options));
}

/** Both writers escape the first 32 characters, and leave those behind ASCII, which terminals obey too, in double quotes. */
function withoutControls(text: string): string {
  return text.replace(/[\x7f-\x9f]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
}

/** A line for people beside the data, so that stdout holds nothing else. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Text in lines that begin two spaces further in. */
export function indented(text: string, by = '  '): string {
  return text.replace(/^(?=.)/gm, by);
}
