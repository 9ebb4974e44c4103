import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { createRoot, readRoot } from '../protocol/root.ts';
import { type ContextFile, readContextFile, writeContextFile } from './context-file.ts';
import { UsageError } from './exit.ts';
import { shownFile } from './shown-file.ts';

/** `.weft/`: what `init` and `up` keep beside a mesh's files. */
export interface MeshFolder {
  readonly path: string;
  readonly rootFile: string;
  readonly contextFile: string;
}

export function meshFolder(path: string): MeshFolder {
  return Object.freeze({ path, rootFile: join(path, 'root.nk'), contextFile: join(path, 'context.json') });
}

/**
 * Makes a mesh root and its context file.
 * @throws Error if there is a root already: its mesh would lose every identity.
 */
export async function createMesh(
  folder: MeshFolder,
  mesh: string,
  nats: readonly string[],
  defaultAction?: DefaultAction,
): Promise<ContextFile> {
  await mkdir(folder.path, { recursive: true, mode: 0o700 });
  const { seed, publicKey } = createRoot();
  try {
    await writeFile(folder.rootFile, `${seed}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new Error(
      `${folder.rootFile} exists; a new root would end the mesh that it belongs to. ` +
        'Choose another folder with --dir, or remove the file if no mesh needs it.',
    );
  }
  const stated = defaultAction === undefined ? {} : { defaultAction };
  const context = { mesh, nats, rootPublicKey: publicKey, ...stated };
  await writeContextFile(folder.contextFile, context);
  return context;
}

/**
 * The mesh of a folder: made if it has none, else its context is brought up to date; what else is in that stays.
 * @throws UsageError if the folder belongs to another mesh.
 */
export async function ensureMesh(
  folder: MeshFolder,
  mesh: string,
  nats: readonly string[],
): Promise<ContextFile> {
  const rootIsThere = await stat(folder.rootFile).catch(() => undefined);
  if (rootIsThere === undefined) return createMesh(folder, mesh, nats);
  const { publicKey } = await readRootFile(folder.rootFile);
  const present = await readContextFile(folder.contextFile);
  if (present?.mesh !== undefined && present.mesh !== mesh) {
    throw new UsageError(
      `${folder.path} belongs to the mesh ${present.mesh}, and the file is about ${mesh}. Move one of them.`,
    );
  }
  const context = { ...present, mesh, nats, rootPublicKey: publicKey };
  await writeContextFile(folder.contextFile, context);
  return context;
}

/**
 * Another root signs now: a context file that names the former one names it from now on; the rest of it stays.
 * @throws UsageError; the error of the file system
 */
export async function updateRootPublicKey(
  contextFile: string,
  former: string,
  rootPublicKey: string,
): Promise<void> {
  const found = await readContextFile(contextFile);
  if (found?.rootPublicKey === former) await writeContextFile(contextFile, { ...found, rootPublicKey });
}

/** The default of the mesh whose root this is, as the context file beside it says. @throws UsageError */
export async function findDefaultAction(rootFile: string): Promise<DefaultAction | undefined> {
  return (await readContextFile(meshFolder(dirname(rootFile)).contextFile))?.defaultAction;
}

/** The seed in a root file, checked. @throws UsageError that never quotes it. */
export async function readRootFile(file: string): Promise<{ seed: string; publicKey: string }> {
  let seed: string;
  try {
    seed = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new UsageError(
      `cannot read the mesh root ${shownFile(file)} (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  try {
    return { seed, publicKey: readRoot(seed).publicKey };
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}

/** The root file that is named, else `.weft/root.nk` in the working folder. @throws UsageError if there is none */
export async function findRootFile(named: string | undefined, cwd: string): Promise<string> {
  if (named !== undefined) return named;
  const file = join(resolve(cwd), '.weft', 'root.nk');
  if ((await stat(file).catch(() => undefined))?.isFile()) return file;
  throw new UsageError(
    `no mesh root: ${file} does not exist. Make one with \`weft init\`, copy the one of the mesh here, or name it with --root.`,
  );
}
