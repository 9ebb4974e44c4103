import type { ConfigFault } from '../protocol/config-fault.ts';
import { DOCUMENT_BYTES_MAX } from '../protocol/yaml-document.ts';

/** How V8 says that a text begins with JSON and goes on with something else. */
const AFTER_JSON = /after JSON at position (\d+) \(line (\d+) column (\d+)\)/;

/** What is wrong with a file as a whole, and would else be told as dozens of faults of its parts. */
export function fileFault(content: string, file: string): ConfigFault | undefined {
  const place = { file, line: 1, column: 1, field: '' };
  if (content.includes('\0')) return { ...place, found: 'a binary file', expected: 'YAML or JSON' };
  if (Buffer.byteLength(content) > DOCUMENT_BYTES_MAX) {
    const expected = 'at most 1 MiB: split it, and apply the parts one after the other';
    return { ...place, found: 'a larger file', expected };
  }
  const [, position, line, column] = AFTER_JSON.exec(jsonFault(content)) ?? [];
  // A YAML stream may begin with JSON, and go on with `---`.
  if (position === undefined || !/[{[]/.test(content[Number(position)] ?? '')) return undefined;
  return {
    ...place,
    line: Number(line),
    column: Number(column),
    found: 'a second JSON document',
    expected: 'one, or a line with --- between two, or both as the items of a List',
  };
}

function jsonFault(content: string): string {
  if (!content.trimStart().startsWith('{')) return '';
  try {
    JSON.parse(content);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
