/**
 * The files of a mesh's roots: `root.nk` signs. While another root takes its place, that one waits beside it as
 * `root-next.nk`, until all agents know it; then it is `root.nk`, and the one before is `root-former.nk`, until nobody needs it.
 */
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createRoot, type Root, readRoot } from '../protocol/root.ts';
import { UsageError } from './exit.ts';
import { readRootFile } from './mesh-folder.ts';

export type RootPhase = 'single' | 'next' | 'former';

export interface RootFiles {
  readonly phase: RootPhase;
  readonly present: Root;
  readonly other: Root | undefined;
}

const beside = (rootFile: string, name: string) => join(dirname(resolve(rootFile)), name);
const NEXT = 'root-next.nk';
const FORMER = 'root-former.nk';

/** @throws UsageError if one of them cannot be read, or there are three */
export async function readRootFiles(rootFile: string): Promise<RootFiles> {
  const present = readRoot((await readRootFile(rootFile)).seed);
  const [next, former] = [beside(rootFile, NEXT), beside(rootFile, FORMER)];
  const [hasNext, hasFormer] = [await isThere(next), await isThere(former)];
  if (hasNext && hasFormer) {
    throw new UsageError(
      `${next} and ${former} are both there: one root takes the place of another at a time`,
    );
  }
  if (!hasNext && !hasFormer) return { phase: 'single', present, other: undefined };
  const other = readRoot((await readRootFile(hasNext ? next : former)).seed);
  // It was interrupted between two files: they are one root.
  if (other.publicKey === present.publicKey) return { phase: 'single', present, other: undefined };
  return { phase: hasNext ? 'next' : 'former', present, other };
}

/** Makes the next root. */
export async function makeNextRoot(rootFile: string): Promise<void> {
  await writeFile(beside(rootFile, NEXT), `${createRoot().seed}\n`, { mode: 0o600, flag: 'wx' });
}

/** The next root becomes the present one. Interrupted anywhere, it can be called again. */
export async function exchangeRoots(rootFile: string): Promise<void> {
  const { seed } = await readRootFile(rootFile);
  await writeFile(beside(rootFile, FORMER), `${seed}\n`, { mode: 0o600 });
  await rename(beside(rootFile, NEXT), rootFile);
}

/** The former root is known no more. */
export async function dropFormerRoot(rootFile: string): Promise<void> {
  await rm(beside(rootFile, FORMER), { force: true });
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
