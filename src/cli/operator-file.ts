/** An operator's credentials, in one file: the key, and what the root says of it. */
import { readFile, writeFile } from 'node:fs/promises';
import { isPublicNkey, publicNkeyOf } from '../protocol/nkey.ts';
import type { Role } from '../protocol/operator.ts';
import { UsageError } from './exit.ts';
import { shownFile } from './shown-file.ts';

export interface OperatorCredentials {
  readonly mesh: string;
  readonly name: string;
  readonly role: Role;
  /** RFC 3339. */
  readonly expires: string;
  /** Public NKey of the mesh's root: what the controller answers is known by it. */
  readonly root?: string;
  /** Signed by the root; name, role and expires are there for people. */
  readonly document: string;
  /** NKey (`SU…`): calls are signed with it, and it is the operator's NATS user. Secret. */
  readonly seed: string;
}

/** @throws UsageError if there is such a file already */
export async function writeOperatorFile(file: string, credentials: OperatorCredentials): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new UsageError(`${file} exists: name another file with --out, or remove it`);
    throw new UsageError(`cannot write ${file} (${code})`);
  }
}

/** @throws UsageError that never quotes what is in it */
export async function readOperatorFile(file: string, mesh: string): Promise<OperatorCredentials> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read the operator's credentials ${shownFile(file)} (${error.code})`);
  });
  let found: Partial<OperatorCredentials> | null = null;
  try {
    found = JSON.parse(text) as Partial<OperatorCredentials> | null;
  } catch {
    // Said below.
  }
  const { document, seed, root } = found ?? {};
  const keyed = typeof seed === 'string' && publicNkeyOf('user', seed) !== undefined;
  if (typeof document !== 'string' || !keyed || !(root === undefined || isPublicNkey('account', root))) {
    throw new UsageError(`${file}: expected the whole file that \`weft operator create\` wrote`);
  }
  if (found?.mesh !== mesh) {
    throw new UsageError(
      `${file} is for the mesh ${JSON.stringify(found?.mesh)}, and the command is about ${mesh}`,
    );
  }
  return found as OperatorCredentials;
}
