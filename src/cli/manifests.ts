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

export interface Manifests {
  readonly resources: readonly ReadResource[];
  /** What is wrong already; the others can be checked all the same. */
  readonly faults: readonly ConfigFault[];
}

/**
 * Reads them in the order in which they are named; of folders all `.yaml`, `.yml` and `.json` files, sorted.
 * @throws UsageError if one cannot be read, or there is nothing in all of them
 */
export async function readManifests(paths: readonly string[]): Promise<Manifests> {
  const resources: ReadResource[] = [];
  const faults: ConfigFault[] = [];
  for (const path of (await Promise.all(paths.map(filesOf))).flat()) {
    const read = path === '-' ? readResources(await text(process.stdin), 'stdin') : await readFrom(path);
    resources.push(...read.resources);
    faults.push(...read.faults);
  }
  if (resources.length === 0 && faults.length === 0) {
    throw new UsageError(`there are no resources in ${paths.map(printable).join(', ')}`);
  }
  return { resources, faults };
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
export function faultsError(resources: readonly ReadResource[], faults: readonly ConfigFault[]): ConfigError {
  const order = new Map<string, number>();
  for (const file of [...resources.map((one) => one.place([]).file), ...faults.map((fault) => fault.file)]) {
    if (!order.has(file)) order.set(file, order.size);
  }
  return new ConfigError(faults.toSorted((a, b) => order.get(a.file)! - order.get(b.file)!));
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

async function readFrom(path: string): Promise<Manifests> {
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'there is no such file' : error.code;
    throw new UsageError(`cannot read ${printable(path)}: ${why}`);
  });
  return readResources(content, path);
}
