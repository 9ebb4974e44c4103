import type { ValidateFunction } from 'ajv';
import {
  type Document,
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  parseDocument,
  visit,
} from 'yaml';
import { ConfigError, type ConfigFault, type FieldPath, fieldName, shownValue } from './config-fault.ts';
import { schemaFaults } from './schema-faults.ts';

/** Far above what a person writes; a limit so that a wrong file cannot fill the memory. */
export const DOCUMENT_BYTES_MAX = 1024 * 1024;
/** Aliases may repeat what is written, not multiply it ("billion laughs"). */
const ALIASES_MAX = 100;
const FAULTS_MAX = 100;

/** What the author of a document wrote, and where in the file each part of it stands. */
export interface YamlPart {
  readonly value: unknown;
  /** A fault at a field, for what a schema cannot say. What is missing is placed at its nearest parent. */
  fault(path: FieldPath, expected: string, found?: string): ConfigFault;
}

/** A document with what is wrong with it by its schema: its value is unknown until `faults` is empty. */
export interface YamlDocument extends YamlPart {
  readonly faults: readonly ConfigFault[];
}

type Place = Pick<ConfigFault, 'file' | 'line' | 'column'>;

/**
 * Reads one YAML 1.2 document and checks it against a schema that was compiled with `allErrors` and `verbose`.
 * @throws ConfigError if it is not YAML, or YAML that is more than data: tags, doubled keys, alias bombs.
 */
export function readYamlDocument(text: string, file: string, validate: ValidateFunction): YamlDocument {
  const start = { file, line: 1, column: 1, field: '' };
  if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX) {
    throw new ConfigError([{ ...start, found: 'a larger file', expected: 'at most 1 MiB' }]);
  }
  const lineCounter = new LineCounter();
  const place = placeIn(file, lineCounter);
  let document: Document.Parsed;
  let value: unknown;
  try {
    // Our own check for doubled keys takes linear time; the parser's is quadratic.
    document = parseDocument(text, { lineCounter, prettyErrors: false, version: '1.2', uniqueKeys: false });
    const faults = [...syntaxFaults(document, place), ...dataFaults(document, place)];
    if (faults.length > 0) throw new ConfigError(faults);
    value = document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([{ ...start, ...unreadable(error) }]);
  }
  const fault = faultIn(document, value, place);
  const faults = validate(value) ? [] : schemaFaults((validate.errors ?? []).slice(0, FAULTS_MAX), fault);
  return Object.freeze({ value, faults, fault });
}

/**
 * Reads the documents of a YAML 1.2 stream, empty ones left out. It never throws: a document that cannot be read is
 * a fault, and the others are read all the same.
 */
export function readYamlDocuments(
  text: string,
  file: string,
): { readonly documents: readonly YamlPart[]; readonly faults: readonly ConfigFault[] } {
  const start = { file, line: 1, column: 1, field: '' };
  if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX) {
    return { documents: [], faults: [{ ...start, found: 'a larger file', expected: 'at most 1 MiB' }] };
  }
  const lineCounter = new LineCounter();
  const place = placeIn(file, lineCounter);
  const documents: YamlPart[] = [];
  const faults: ConfigFault[] = [];
  try {
    const options = { lineCounter, prettyErrors: false, version: '1.2', uniqueKeys: false } as const;
    const parsed: readonly Document.Parsed[] = parseAllDocuments(text, options);
    for (const document of parsed) {
      const wrong = [...syntaxFaults(document, place), ...dataFaults(document, place)];
      faults.push(...wrong);
      if (wrong.length > 0 || document.contents === null) continue;
      const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
      if (value === null) continue;
      documents.push({ value, fault: faultIn(document, value, place) });
    }
  } catch (error) {
    faults.push({ ...start, ...unreadable(error) });
  }
  return { documents, faults: faults.slice(0, FAULTS_MAX) };
}

function placeIn(file: string, lineCounter: LineCounter): (offset: number) => Place {
  return (offset) => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
}

function faultIn(
  document: Document.Parsed,
  value: unknown,
  place: (offset: number) => Place,
): YamlPart['fault'] {
  return (path, expected, found) => ({
    ...place(offsetOf(document, path)),
    field: fieldName(path),
    found: found ?? shownValue(valueAt(value, path)),
    expected,
  });
}

/** Too deep for the stack, or aliases: the parser throws both as they are. */
function unreadable(error: unknown): Pick<ConfigFault, 'found' | 'expected'> {
  return {
    found: `what cannot be read (${firstLine((error as Error).message)})`,
    expected: `plain nesting and at most ${ALIASES_MAX} aliases, of anchors that stand before`,
  };
}

function syntaxFaults(document: Document.Parsed, place: (offset: number) => Place): ConfigFault[] {
  return document.errors.slice(0, FAULTS_MAX).map((error) => ({
    ...place(error.pos[0]),
    field: '',
    ...(error.code === 'MULTIPLE_DOCS'
      ? { found: 'a second document', expected: 'one: remove it and the --- before it' }
      : { found: `a YAML fault (${firstLine(error.message)})`, expected: 'valid YAML' }),
  }));
}

/** YAML can be more than data. Tags make readers build things; of doubled keys, readers keep different ones. */
function dataFaults(document: Document.Parsed, place: (offset: number) => Place): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const add = (node: Node, found: string, expected: string) => {
    if (faults.length < FAULTS_MAX) {
      faults.push({ ...place(node.range?.[0] ?? 0), field: '', found, expected });
    }
  };
  visit(document, {
    Node(_key, node) {
      const tag = 'tag' in node ? node.tag : undefined;
      if (tag !== undefined) add(node, `the tag ${shownValue(tag)}`, 'data without tags');
      if (!isMap<Node | null>(node)) return;
      const seen = new Set<string>();
      for (const { key } of node.items) {
        if (key === null) continue;
        if (!isScalar(key)) add(key, 'a key that is not plain text', 'plain text as a key');
        else if (seen.has(String(key.value)))
          add(key, `the key ${shownValue(key.value)} again`, 'each key once');
        else seen.add(String(key.value));
      }
    },
  });
  return faults;
}

/** Of the key where there is one, so that the fault points at the line; of the nearest parent for what is missing. */
function offsetOf(document: Document.Parsed, path: FieldPath): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const step of path) {
    if (!isCollection(node)) break;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (pair === undefined) break;
      offset = (pair.key as Node | null)?.range?.[0] ?? offset;
      node = pair.value;
    } else {
      node = node.items[Number(step)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    }
  }
  return offset;
}

/** What stands at a path; undefined if nothing does. */
export function valueAt(value: unknown, path: FieldPath): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
