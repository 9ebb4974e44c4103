/** Which mesh a command is about: from its options, else from the context file that `weft up` and `weft init` write. */
import type { KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { verificationKey } from '../protocol/identity.ts';
import { isLabel } from '../protocol/names.ts';
import { readRoot } from '../protocol/root.ts';
import { signingKey } from '../protocol/signed-document.ts';
import { UsageError } from './exit.ts';
import { readRootFile } from './mesh-folder.ts';
import { printable } from './printable.ts';

export interface ContextOptions {
  /** Several with commas. */
  readonly nats?: string;
  readonly mesh?: string;
  readonly creds?: string;
  readonly root?: string;
  readonly context?: string;
}

export interface MeshContext {
  readonly mesh: string;
  readonly servers: readonly string[];
  /** A NATS credentials file. */
  readonly creds: string | undefined;
  /** The root's private key, for calls that change something. @throws UsageError if it is not at hand */
  signingKey(): Promise<KeyObject>;
  /** The root's public key, for what the controller has signed. @throws UsageError if it is not known */
  rootKey(): Promise<KeyObject>;
}

interface ContextFile {
  readonly path: string;
  readonly mesh: string;
  readonly nats: readonly string[];
  readonly rootPublicKey: string;
  readonly creds?: string;
}

const SERVER = /^(?:nats|tls):\/\/[^\s/@]+$/;
const PUBLIC_KEY = /^A[A-Z2-7]{55}$/;

/** @throws UsageError if it is not said which mesh, or where its NATS is, or what is said cannot be read */
export async function resolveContext(
  options: ContextOptions,
  { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<MeshContext> {
  const file = await contextFile(options, cwd, env);
  const mesh = options.mesh ?? file?.mesh;
  const servers = options.nats?.split(',').map((server) => server.trim()) ?? file?.nats;
  if (mesh === undefined || servers === undefined) throw new UsageError(unknownMesh(options, cwd));
  if (!isLabel(mesh)) throw new UsageError('--mesh: expected a DNS label: a-z, 0-9 and -, at most 63');
  if (!servers.every((server) => SERVER.test(server))) {
    throw new UsageError('--nats: expected nats://host:port or tls://host:port, several with commas');
  }
  const creds = options.creds ?? (file?.creds && resolve(dirname(file.path), file.creds));
  if (creds !== undefined) await readCreds(creds);
  const rootFile = options.root ?? (file && join(dirname(file.path), 'root.nk'));

  return Object.freeze({
    mesh,
    servers,
    creds,
    async signingKey() {
      if (rootFile === undefined) throw new UsageError(noRoot(mesh));
      const { seed } = await readRootFile(rootFile);
      return signingKey(readRoot(seed));
    },
    async rootKey() {
      if (options.root !== undefined) return verificationKey((await readRootFile(options.root)).publicKey);
      if (file === undefined) throw new UsageError(noRoot(mesh));
      return verificationKey(file.rootPublicKey);
    },
  });
}

/** A file that is named has to be there; one that is found and is about another mesh than `--mesh` is none. */
async function contextFile(
  { context, mesh }: ContextOptions,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<ContextFile | undefined> {
  const named = context ?? (env.WEFT_CONTEXT || undefined);
  const path = named === undefined ? await findContext(cwd) : resolve(cwd, named);
  if (path === undefined) return undefined;
  const file = await readContext(path);
  return mesh === undefined || mesh === file.mesh ? file : undefined;
}

/** `.weft/context.json` in the working folder, else in the nearest folder above it. */
async function findContext(cwd: string): Promise<string | undefined> {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const path = join(folder, '.weft', 'context.json');
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
    if (folder === dirname(folder)) return undefined;
  }
}

async function readContext(path: string): Promise<ContextFile> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read the context file ${path} (${error.code})`);
  });
  let file: Partial<ContextFile> | null;
  try {
    file = JSON.parse(text) as Partial<ContextFile> | null;
  } catch {
    throw new UsageError(`${path} is not JSON: is it a context file? \`weft init\` and \`weft up\` write it`);
  }
  const { mesh, nats, rootPublicKey, creds } = file ?? {};
  const sound =
    typeof mesh === 'string' &&
    Array.isArray(nats) &&
    nats.length > 0 &&
    nats.every((server) => typeof server === 'string') &&
    typeof rootPublicKey === 'string' &&
    PUBLIC_KEY.test(rootPublicKey) &&
    (creds === undefined || typeof creds === 'string');
  if (!sound) throw new UsageError(`${path}: expected mesh, nats (a list) and rootPublicKey (A…)`);
  return { path, mesh, nats, rootPublicKey, ...(creds === undefined ? {} : { creds }) };
}

async function readCreds(file: string): Promise<void> {
  await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read the credentials ${file} (${error.code})`);
  });
}

function unknownMesh({ mesh, nats }: ContextOptions, cwd: string): string {
  const missing = mesh === undefined ? '--mesh NAME' : nats === undefined ? '--nats URL' : '';
  const both = mesh === undefined && nats === undefined ? ' and --nats URL' : '';
  return (
    `which mesh? There is no .weft/context.json in ${printable(cwd)} or above it` +
    `${mesh === undefined ? '' : ` for the mesh ${printable(mesh)}`}. ` +
    `Go to the folder of the mesh, name a context file with --context or WEFT_CONTEXT, or give ${missing}${both}`
  );
}

function noRoot(mesh: string): string {
  return `no root of the mesh ${mesh} at hand: name its file with --root, or a context file beside it with --context`;
}
