/** Which mesh a command is about: from its options, else from the context file that `weft up` and `weft init` write. */
import type { KeyObject } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ed25519PrivateKey, seedBytes, verificationKey } from '../protocol/nkey.ts';
import { type Root, readRoot } from '../protocol/root.ts';
import { signingKey } from '../protocol/signed-document.ts';
import { type ContextFile, readWholeContextFile } from './context-file.ts';
import { checkCredsFile } from './creds-file.ts';
import { UsageError } from './exit.ts';
import { labelOf } from './label.ts';
import { readRootFile } from './mesh-folder.ts';
import { findNatsKey } from './nats-keys.ts';
import { readNatsServers } from './nats-servers.ts';
import { readOperatorFile } from './operator-file.ts';
import { printable } from './printable.ts';

export interface ContextOptions {
  /** Several with commas. */
  readonly nats?: string;
  readonly mesh?: string;
  readonly creds?: string;
  readonly root?: string;
  /** An operator's credentials. */
  readonly operator?: string;
  readonly context?: string;
}

/** What calls are signed with. */
export interface CallSigner {
  readonly key: KeyObject;
  /** Of the operator whose key it is; absent: it is the root's. */
  readonly document?: string;
}

export interface MeshContext {
  readonly mesh: string;
  readonly servers: readonly string[];
  /** A NATS credentials file. */
  readonly creds: string | undefined;
  /** Where the keys of the mesh are: beside its root, or its context file. */
  readonly folder?: string | undefined;
  /** The context file that says which mesh it is; undefined if the options alone do. */
  readonly contextFile?: string | undefined;
  /** Of the NATS user of whoever works there, if it has one. Secret. */
  readonly natsSeed?: string | undefined;
  /** The operator's key if one is named, else the root's. @throws UsageError if neither is at hand */
  signer(): Promise<CallSigner>;
  /** With its private key. @throws UsageError if it is not at hand */
  root(): Promise<Root>;
  /** Public NKey of the root. @throws UsageError if it is not known */
  rootPublicKey(): Promise<string>;
  /** The same, for what the controller has signed. @throws UsageError if it is not known */
  rootKey(): Promise<KeyObject>;
}

type FoundContext = ContextFile & { readonly path: string };

/** @throws UsageError if it is not said which mesh, or where its NATS is, or what is said cannot be read */
export async function resolveContext(
  options: ContextOptions,
  { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<MeshContext> {
  const found = await contextFile(options, cwd, env);
  const other = found !== undefined && options.mesh !== undefined && options.mesh !== found.mesh;
  const file = other ? undefined : found;
  const mesh = options.mesh ?? file?.mesh;
  const addresses = options.nats ?? file?.nats.join(',');
  if (mesh !== undefined) labelOf('--mesh', mesh);
  if (other && (options.context !== undefined || addresses === undefined))
    throw new UsageError(otherMesh(options, found));
  if (mesh === undefined || addresses === undefined) throw new UsageError(unknownMesh(options, cwd));
  const servers = readNatsServers(addresses);
  const creds = options.creds ?? (file?.creds && resolve(dirname(file.path), file.creds));
  if (creds !== undefined) await checkCredsFile(creds);
  const rootFile = options.root ?? (file && join(dirname(file.path), 'root.nk'));
  const folder = rootFile && dirname(resolve(cwd, rootFile));
  const operatorFile = operatorFileOf(options, file, env);
  const operator = operatorFile === undefined ? undefined : await readOperatorFile(operatorFile, mesh);
  const natsKey =
    folder === undefined || operator !== undefined ? operator : await findNatsKey(folder, 'operator');

  const root = async () => {
    if (rootFile === undefined) throw new UsageError(noRoot(mesh, found));
    return readRoot((await readRootFile(rootFile)).seed);
  };
  const rootPublicKey = async () => {
    if (options.root !== undefined) return (await readRootFile(options.root)).publicKey;
    // Whoever has given an operator its credentials has given it the root with them.
    const known = operator?.root ?? file?.rootPublicKey;
    if (known === undefined) throw new UsageError(noRoot(mesh, found));
    return known;
  };

  return Object.freeze({
    mesh,
    servers,
    creds,
    folder,
    contextFile: file?.path,
    natsSeed: natsKey?.seed,
    async signer() {
      if (operator !== undefined) {
        return { key: ed25519PrivateKey(seedBytes(operator.seed)), document: operator.document };
      }
      const isThere = rootFile !== undefined && (await stat(rootFile).catch(() => undefined)) !== undefined;
      // Of a root that is named it is said why it cannot be read.
      if (!isThere && options.root === undefined) throw new UsageError(noSigner(mesh));
      return { key: signingKey(await root()) };
    },
    root,
    rootPublicKey,
    rootKey: async () => verificationKey(await rootPublicKey()),
  });
}

/** What is named in the command goes first; who names the root there means the root. */
function operatorFileOf(
  { operator, root }: ContextOptions,
  file: FoundContext | undefined,
  env: NodeJS.ProcessEnv,
): string | undefined {
  if (operator !== undefined || root !== undefined) return operator;
  if (env.WEFT_OPERATOR) return env.WEFT_OPERATOR;
  return file?.operator && resolve(dirname(file.path), file.operator);
}

/** A file that is named has to be there. */
async function contextFile(
  { context }: ContextOptions,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<FoundContext | undefined> {
  const named = context ?? (env.WEFT_CONTEXT || undefined);
  const path = named === undefined ? await findContext(cwd) : resolve(cwd, named);
  return path === undefined ? undefined : { ...(await readWholeContextFile(path)), path };
}

/** `.weft/context.json` in the working folder, else in the nearest folder above it. */
async function findContext(cwd: string): Promise<string | undefined> {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const path = join(folder, '.weft', 'context.json');
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
    if (folder === dirname(folder)) return undefined;
  }
}

function unknownMesh({ mesh, nats }: ContextOptions, cwd: string): string {
  const missing = mesh === undefined ? '--mesh NAME' : nats === undefined ? '--nats URL' : '';
  const both = mesh === undefined && nats === undefined ? ' and --nats URL' : '';
  return (
    `which mesh? There is no .weft/context.json in ${printable(cwd)} or above it. ` +
    `Go to the folder of the mesh, name a context file with --context or WEFT_CONTEXT, or give ${missing}${both}`
  );
}

function noSigner(mesh: string): string {
  return (
    `calls to the controller are signed, and there are no credentials for the mesh ${mesh}: ` +
    'name those of an operator with --operator or WEFT_OPERATOR, or the root of the mesh with --root'
  );
}

function otherMesh({ mesh = '' }: ContextOptions, { path, mesh: owner }: FoundContext): string {
  return (
    `which mesh? --mesh says ${printable(mesh)}, and the context ${printable(path)} is of the mesh ${printable(owner)}. ` +
    `Leave --mesh out, name the context file of ${printable(mesh)} with --context, or leave --context out and give --nats URL`
  );
}

function noRoot(mesh: string, other: FoundContext | undefined): string {
  const not =
    other === undefined ? '' : ` (${printable(other.path)} is of the mesh ${printable(other.mesh)})`;
  return `no root of the mesh ${mesh} at hand${not}: name its file with --root, or a context file with --context; an operator's new credentials say it too`;
}
