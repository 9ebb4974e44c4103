/** One thing that is wrong in a file that a person wrote. */
export interface ConfigFault {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** Like `workloads[0].listen`; empty for the whole document. */
  readonly field: string;
  /** What stands there, shortened and without secrets. */
  readonly found: string;
  readonly expected: string;
}

/** Everything that is wrong in a configuration, at once and in the order of the file; of several, file after file. */
export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    const files = [...new Set(faults.map(({ file }) => file))];
    const place = new Map(files.map((file, at) => [file, at]));
    const sorted = faults.toSorted(
      (a, b) => place.get(a.file)! - place.get(b.file)! || a.line - b.line || a.column - b.column,
    );
    super(sorted.map(faultLine).join('\n'));
    this.name = 'ConfigError';
    this.faults = sorted;
  }
}

/** The steps from the document to one of its fields: `['workloads', 0, 'listen']`. */
export type FieldPath = readonly (string | number)[];

/** `workloads[0].listen` */
export function fieldName(path: FieldPath): string {
  let name = '';
  for (const step of path)
    name += typeof step === 'number' ? `[${step}]` : `${name === '' ? '' : '.'}${step}`;
  return name;
}

/** `agent.yaml:7:5: workloads[0].listen: found "0.0.0.0:80", expected a loopback address…` */
export function faultLine(fault: ConfigFault): string {
  const field = fault.field === '' ? '' : `${fault.field}: `;
  return `${fault.file}:${fault.line}:${fault.column}: ${field}found ${fault.found}, expected ${fault.expected}`;
}

const SHOWN_MAX = 80;

/** A value as a fault may show it: one line, short, without passwords in URLs and without NKey seeds. */
export function shownValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'a mapping';
  const text = typeof value === 'string' ? value : String(value);
  const safe = text
    .slice(0, 4 * SHOWN_MAX)
    .replace(/\/\/[^/]*@/g, '//***@')
    .replace(/S[ACNOUPX][A-Z2-7]{20,}/g, '***');
  const short = safe.length > SHOWN_MAX ? `${safe.slice(0, SHOWN_MAX)}…` : safe;
  return typeof value === 'string' ? JSON.stringify(short) : short;
}
