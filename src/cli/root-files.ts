/**
 * The files of a mesh's roots: `root.nk` signs. While another root takes its place, that one waits beside it as
 * `root-next.nk`, until all agents know it; then it is `root.nk`, and the one before is `root-former.nk`, until nobody needs it.
 *
 * Each step can end anywhere, also by a power failure, and be done again: a file is all of its text or is not there.
 */
import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { replaceFile, syncFolder } from '../disk/whole-file.ts';
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

/** @throws UsageError if one of them cannot be read, or there are three roots */
export async function readRootFiles(rootFile: string): Promise<RootFiles> {
  const present = readRoot((await readRootFile(rootFile)).seed);
  /** One that is the present root says nothing: the exchange has ended between two files, or was copied in parts. */
  const another = async (name: string): Promise<Root | undefined> => {
    const file = beside(rootFile, name);
    if ((await stat(file).catch(() => undefined)) === undefined) return undefined;
    const root = readRoot((await readRootFile(file)).seed);
    return root.publicKey === present.publicKey ? undefined : root;
  };
  const [next, former] = [await another(NEXT), await another(FORMER)];
  if (next !== undefined && former !== undefined) {
    throw new UsageError(
      `${beside(rootFile, NEXT)} and ${beside(rootFile, FORMER)} are both there: one root takes the place of another at a time`,
    );
  }
  if (next !== undefined) return { phase: 'next', present, other: next };
  return { phase: former === undefined ? 'single' : 'former', present, other: former };
}

/** Whether they say something else than before; not while they cannot be read. */
export async function areOtherRoots(rootFile: string, before: RootFiles): Promise<boolean> {
  const now = await readRootFiles(rootFile).catch(() => before);
  const names = ({ present, other }: RootFiles) => [present, other].map((root) => root?.publicKey).join();
  return names(now) !== names(before);
}

/** Makes the next root. To be called while there is one root. @throws the error of the file system */
export async function makeNextRoot(rootFile: string): Promise<void> {
  await replaceFile(beside(rootFile, NEXT), `${createRoot().seed}\n`);
}

/** The next root becomes the present one. To be called while there is a next one. @throws the error of the file system */
export async function exchangeRoots(rootFile: string): Promise<void> {
  const { seed } = await readRootFile(rootFile);
  await replaceFile(beside(rootFile, FORMER), `${seed}\n`);
  await rename(beside(rootFile, NEXT), rootFile);
  await syncFolder(dirname(resolve(rootFile)));
}

/** The former root is known no more. To be called after the exchange: a next root that is there is a copy of the present one. */
export async function dropFormerRoot(rootFile: string): Promise<void> {
  for (const name of [NEXT, FORMER]) await rm(beside(rootFile, name), { force: true });
  await syncFolder(dirname(resolve(rootFile)));
}
