import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { createRoot, readRoot } from '../protocol/root.ts';
import { UsageError } from './exit.ts';

/** `.weft/`: what `init` and `up` keep beside a mesh's files. */
export interface MeshFolder {
  readonly path: string;
  readonly rootFile: string;
  readonly contextFile: string;
}

/** What other commands need to reach a mesh. */
export interface Context {
  readonly mesh: string;
  readonly nats: readonly string[];
  readonly rootPublicKey: string;
  /** Of the mesh; absent: allow. */
  readonly defaultAction?: DefaultAction;
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
): Promise<Context> {
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
  return writeContext(folder, { mesh, nats, rootPublicKey: publicKey, ...stated(defaultAction) });
}

/**
 * The mesh of a folder: made if it has none, else its context is brought up to date.
 * @throws UsageError if the folder belongs to another mesh.
 */
export async function ensureMesh(
  folder: MeshFolder,
  mesh: string,
  nats: readonly string[],
): Promise<Context> {
  const rootIsThere = await stat(folder.rootFile).catch(() => undefined);
  if (rootIsThere === undefined) return createMesh(folder, mesh, nats);
  const { publicKey } = await readRootFile(folder.rootFile);
  const { mesh: owner, defaultAction } = await readContextFile(folder.contextFile);
  if (owner !== undefined && owner !== mesh) {
    throw new UsageError(
      `${folder.path} belongs to the mesh ${owner}, and the file is about ${mesh}. Move one of them.`,
    );
  }
  const action = defaultActionOf(defaultAction, folder.contextFile);
  return writeContext(folder, { mesh, nats, rootPublicKey: publicKey, ...stated(action) });
}

/** Another root signs now; the rest of the context file stays. @throws the error of the file system */
export async function updateRootPublicKey(folder: MeshFolder, rootPublicKey: string): Promise<void> {
  const context = await readContextFile(folder.contextFile);
  if (context.mesh === undefined) return;
  const text = `${JSON.stringify({ ...context, rootPublicKey }, null, 2)}\n`;
  await writeFile(folder.contextFile, text, { mode: 0o600 });
}

/** The default of the mesh whose root this is, as the context file beside it says. @throws UsageError if that is none */
export async function findDefaultAction(rootFile: string): Promise<DefaultAction | undefined> {
  const { contextFile } = meshFolder(dirname(rootFile));
  return defaultActionOf((await readContextFile(contextFile)).defaultAction, contextFile);
}

/** A slip here would open the mesh. */
function defaultActionOf(found: unknown, file: string): DefaultAction | undefined {
  if (found === undefined || found === 'allow' || found === 'deny') return found;
  throw new UsageError(`${file}: defaultAction: found ${JSON.stringify(found)}, expected allow or deny`);
}

function stated(defaultAction: DefaultAction | undefined): { readonly defaultAction?: DefaultAction } {
  return defaultAction === undefined ? {} : { defaultAction };
}

/** What a context file says; nothing if there is none, or it cannot be read. */
async function readContextFile(file: string): Promise<Readonly<Record<keyof Context, unknown>>> {
  const nothing = { mesh: undefined, nats: undefined, rootPublicKey: undefined, defaultAction: undefined };
  try {
    return { ...nothing, ...(JSON.parse(await readFile(file, 'utf8')) as object | null) };
  } catch {
    return nothing;
  }
}

async function writeContext(folder: MeshFolder, context: Context): Promise<Context> {
  await writeFile(folder.contextFile, `${JSON.stringify(context, null, 2)}\n`, { mode: 0o600 });
  return context;
}

/** The seed in a root file, checked. @throws UsageError that never quotes it. */
export async function readRootFile(file: string): Promise<{ seed: string; publicKey: string }> {
  let seed: string;
  try {
    seed = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new UsageError(`cannot read the mesh root ${file} (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    return { seed, publicKey: readRoot(seed).publicKey };
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}

/** The first root file that is there: the one named, else `.weft/root.nk` beside the configuration, else here. */
export async function findRootFile(
  named: string | undefined,
  configFile: string,
  cwd: string,
): Promise<string> {
  if (named !== undefined) return named;
  const folders = new Set([dirname(resolve(cwd, configFile)), resolve(cwd)]);
  const candidates = [...folders].map((at) => join(at, '.weft', 'root.nk'));
  for (const candidate of candidates) {
    const there = await stat(candidate).catch(() => undefined);
    if (there?.isFile()) return candidate;
  }
  throw new UsageError(
    `no mesh root: ${candidates.join(' and ')} ${candidates.length === 1 ? 'does' : 'do'} not exist. Make one with \`weft init\`, ` +
      'copy the one of the mesh here, or name it with --root.',
  );
}
