/** The resources in what people name with `-f`: files, folders, and `-` for stdin. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type ReadResource, readResources } from '../controller/resources/read-resources.ts';
import type { ApiFault } from '../protocol/api-call.ts';
import { ConfigError, type ConfigFault } from '../protocol/config-fault.ts';
import { UsageError } from './exit.ts';
import { printable } from './printable.ts';

const MANIFEST = /\.(?:ya?ml|json)$/;
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
 * @throws UsageError if one cannot be read, or there is nothing in all of them
 */
export async function readManifests(paths: readonly string[]): Promise<Manifests> {
  const files = (await Promise.all(paths.map(filesOf))).flat();
  const resources: ReadResource[] = [];
  const faults: ConfigFault[] = [];
  for (const path of files) {
    const file = path === '-' ? STDIN : path;
    const read = readResources(path === '-' ? await text(process.stdin) : await contentOf(path), file);
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

async function filesOf(path: string): Promise<string[]> {
  if (path === '-') return [path];
  const there = await stat(path).catch(() => undefined);
  if (!there?.isDirectory()) return [path];
  const names = await readdir(path, { recursive: true });
  return names
    .filter((name) => MANIFEST.test(name))
    .sort()
    .map((name) => join(path, name));
}

async function contentOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'there is no such file' : error.code;
    throw new UsageError(`cannot read ${printable(path)}: ${why}`);
  });
}
