/** The resources in what people name with `-f`: files, folders, and `-` for stdin. */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ReadResource, readResources } from '../controller/resources/read-resources.ts';
import { resourceKey } from '../controller/resources/resource.ts';
import type { ApiFault } from '../protocol/api-call.ts';
import { ConfigError, type ConfigFault, shownValue } from '../protocol/config-fault.ts';
import { DOCUMENT_BYTES_MAX } from '../protocol/yaml-document.ts';
import { UsageError } from './exit.ts';
import { fileFault } from './file-fault.ts';
import { printable } from './printable.ts';

const MANIFEST = /\.(?:ya?ml|json)$/i;
/** What faults call it. */
const STDIN = 'stdin';

export interface Manifests {
  /** In the order in which they were read. */
  readonly files: readonly string[];
  readonly resources: readonly ReadResource[];
  /** What is wrong already; the others can be checked all the same. */
  readonly faults: readonly ConfigFault[];
}

/**
 * Reads them in the order in which they are named; of folders all `.yaml`, `.yml` and `.json` files, sorted.
 * @throws UsageError if one is not there, or there is nothing in all of them; Error if one may not be read
 */
export async function readManifests(paths: readonly string[]): Promise<Manifests> {
  const files = (await Promise.all(paths.map(filesOf))).flat();
  const resources: ReadResource[] = [];
  const faults: ConfigFault[] = [];
  for (const path of files) {
    const file = path === '-' ? STDIN : path;
    const content = await contentOf(path);
    const fault = fileFault(content, file);
    if (fault !== undefined) {
      faults.push(fault);
      continue;
    }
    const read = readResources(content, file);
    resources.push(...read.resources);
    faults.push(...read.faults);
  }
  if (resources.length === 0 && faults.length === 0) {
    throw new UsageError(`there are no resources in ${paths.map(printable).join(', ')}`);
  }
  return { files: files.map((path) => (path === '-' ? STDIN : path)), resources, faults };
}

/** The faults that the controller has found, at their places in the files. */
export function placedFaults(
  resources: readonly ReadResource[],
  faults: readonly ApiFault[],
): readonly ConfigFault[] {
  return faults.flatMap(({ resource, path, found, expected }) => {
    const read = resources[resource];
    return read === undefined ? [] : [read.fault(path, printable(expected), printable(found))];
  });
}

/** All that is wrong, file after file. */
export function faultsError({ files }: Manifests, faults: readonly ConfigFault[]): ConfigError {
  return new ConfigError(faults.toSorted((a, b) => files.indexOf(a.file) - files.indexOf(b.file)));
}

/**
 * The same without what stands there a second time: this is a fault, told with both places.
 * The controller refuses it too, but knows no files.
 */
export function eachOnce({ files, resources, faults }: Manifests): Manifests {
  const first = new Map<string, ReadResource>();
  const again: ConfigFault[] = [];
  for (const read of resources) {
    const { kind, metadata } = read.resource;
    const key = resourceKey(read.resource);
    const other = first.get(key)?.place(['metadata', 'name']);
    if (other === undefined) {
      first.set(key, read);
      continue;
    }
    const expected = `each resource once: ${other.file}:${other.line}:${other.column} is the same`;
    const found = shownValue(`${kind} ${metadata.namespace}/${metadata.name}`);
    again.push(read.fault(['metadata', 'name'], expected, found));
  }
  return again.length === 0
    ? { files, resources, faults }
    : { files, resources: [...first.values()], faults: [...faults, ...again] };
}

async function filesOf(path: string): Promise<string[]> {
  if (path === '-') return [path];
  const there = await stat(path).catch(() => undefined);
  if (!there?.isDirectory()) return [path];
  const names = await readdir(path, { recursive: true }).catch((error) => {
    throw unreadable(path, error);
  });
  return names
    .filter((name) => MANIFEST.test(name))
    .sort()
    .map((name) => join(path, name));
}

/** At most one byte more than a file may have, so that a wrong one cannot fill the memory. */
async function contentOf(path: string): Promise<string> {
  const end = DOCUMENT_BYTES_MAX;
  const source = path === '-' ? process.stdin : createReadStream(path, { end });
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of source as AsyncIterable<Buffer>) {
      parts.push(part);
      bytes += part.length;
      if (bytes > end) break;
    }
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** What is not there is a slip of whoever calls; what is there and cannot be read is not. */
function unreadable(path: string, { code = 'failed', path: at }: NodeJS.ErrnoException): Error {
  const why = WHY[code];
  const text = `cannot read ${printable(at ?? path)}: ${why ?? code}; nothing was sent`;
  return code === 'EACCES' || why === undefined ? new Error(text) : new UsageError(text);
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this user may not',
};
