/**
 * `context.json`: how commands reach a mesh. `weft init` and `weft up` write it, people add to it; what nobody here knows stays as
 * it is.
 */
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../disk/whole-file.ts';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { isPublicNkey } from '../protocol/nkey.ts';
import { UsageError } from './exit.ts';

export interface ContextFile {
  readonly mesh: string;
  readonly nats: readonly string[];
  readonly rootPublicKey: string;
  /** Of the mesh; absent: allow. */
  readonly defaultAction?: DefaultAction;
  /** NATS credentials and an operator's, as paths from the folder of this file. */
  readonly creds?: string;
  readonly operator?: string;
}

/**
 * What a context file says; undefined if there is none.
 * @throws UsageError if it cannot be read, or something in it is not what it has to be
 */
export async function readContextFile(path: string): Promise<Partial<ContextFile> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new UsageError(`cannot read the context file ${path} (${code})`);
  }
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new UsageError(`${path} is not JSON: is it a context file? \`weft init\` and \`weft up\` write it`);
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) throw malformed(path);
  const { mesh, nats, rootPublicKey, defaultAction, creds, operator } = found as Record<string, unknown>;
  const sound =
    [mesh, creds, operator].every((one) => one === undefined || typeof one === 'string') &&
    (nats === undefined || isServers(nats)) &&
    (rootPublicKey === undefined || isPublicNkey('account', rootPublicKey));
  if (!sound) throw malformed(path);
  // A slip here would open the mesh.
  if (![undefined, 'allow', 'deny'].includes(defaultAction as undefined)) {
    throw new UsageError(
      `${path}: defaultAction: found ${JSON.stringify(defaultAction)}, expected allow or deny`,
    );
  }
  return found as Partial<ContextFile>;
}

/** The same, with all that a command needs. @throws UsageError also if there is none */
export async function readWholeContextFile(path: string): Promise<ContextFile> {
  const file = await readContextFile(path);
  if (file === undefined) throw new UsageError(`cannot read the context file ${path} (ENOENT)`);
  const { mesh, nats, rootPublicKey } = file;
  if (mesh === undefined || nats === undefined || rootPublicKey === undefined) throw malformed(path);
  return { ...file, mesh, nats, rootPublicKey };
}

/** Whole at all times: it is written beside itself and moved into its place. @throws the error of the file system */
export async function writeContextFile(path: string, file: Partial<ContextFile>): Promise<void> {
  await replaceFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

function isServers(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((server) => typeof server === 'string');
}

function malformed(path: string): UsageError {
  return new UsageError(
    `${path}: expected mesh, nats (a list) and rootPublicKey (A…), and creds and operator, if they are there, as paths`,
  );
}
