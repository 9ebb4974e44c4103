/**
 * What an agent keeps of its identity, so that it starts and serves while the controller is away:
 *
 *     <data>/identity/           mode 0700, files 0600
 *        state.json              identity document, pinned roots, trust list, sealed service keys
 *        <public key>.key        its keys; beside the present ones perhaps those that it has asked to replace them with
 *
 * I1  A file is all of the old text or all of the new one, also after a power failure: state.json names the keys that
 *     belong to it, so that the two never disagree.
 * I2  What cannot be read is an error, never a reason to begin anew: the identity would be lost without a word.
 */
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../disk/whole-file.ts';
import { type AgentKeys, agentKeysText, readAgentKeys } from '../../protocol/agent-keys.ts';
import type { SealedServiceKey } from '../../protocol/enrolment.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { isPublicNkey } from '../../protocol/nkey.ts';
import { isRevision, type Revision } from '../../protocol/revision.ts';

export interface StoredIdentity {
  readonly version: 1;
  readonly mesh: string;
  readonly agent: string;
  /** Public NKey of the keys that it belongs to. */
  readonly key: string;
  /** Since when it has these keys, by the controller's clock, ms. */
  readonly keysSinceMs: number;
  /** Public NKeys of the roots that it trusts. */
  readonly roots: readonly string[];
  /** The identity document. */
  readonly identity: string;
  /** Private keys of its services, sealed to its own. */
  readonly sealedBy: string;
  readonly keys: readonly SealedServiceKey[];
  /** The newest trust list that it knows; '' if there was none yet. */
  readonly trust: string;
  /** By publication key: what is older is not taken. */
  readonly revisions: Readonly<Record<string, Revision>>;
}

export interface IdentityFolder {
  readonly path: string;
  /** @throws Error that says which file is wrong and what to do, but nothing that stands in it */
  load(): Promise<{ readonly stored: StoredIdentity; readonly keys: AgentKeys } | undefined>;
  /** Keys that are no identity's as far as it is known here: the answer to who asked with them was lost. @throws as `load` */
  spareKeys(): Promise<AgentKeys | undefined>;
  /** Keeps keys that are about to be asked with. @throws the error of the file system */
  keepKeys(keys: AgentKeys): Promise<void>;
  /**
   * Keeps an identity, and no other keys than its own.
   * @param asked public NKey of those that are being asked for in their place; they are kept too
   * @throws the error of the file system
   */
  save(stored: StoredIdentity, asked?: string): Promise<void>;
}

const STATE = 'state.json';
const KEYS = '.key';

/** @param data the agent's data folder */
export function createIdentityFolder(data: string): IdentityFolder {
  const path = join(data, 'identity');
  const stateFile = join(path, STATE);
  let last: Promise<unknown> = Promise.resolve();

  /** One write after another: the last that was said is what stands there. */
  function inTurn(write: () => Promise<void>): Promise<void> {
    const done = last.then(write);
    last = done.catch(() => {});
    return done;
  }

  async function replace(name: string, text: string): Promise<void> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await replaceFile(join(path, name), text);
  }

  async function keyNames(): Promise<string[]> {
    const names = await readdir(path).catch((error) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names.filter((name) => name.endsWith(KEYS) && isPublicNkey('user', name.slice(0, -KEYS.length)));
  }

  async function keysOf(name: string): Promise<AgentKeys> {
    const file = join(path, name);
    const text = await readSecret(file);
    if (text === undefined) throw damaged(file, 'it is not there', path);
    try {
      return readAgentKeys(text);
    } catch {
      throw damaged(file, 'expected JSON with seed (SU…) and x25519', path);
    }
  }

  async function storedState(): Promise<StoredIdentity | undefined> {
    const text = await readSecret(stateFile);
    if (text === undefined) return undefined;
    const stored = parse(text);
    if (stored === undefined)
      throw damaged(stateFile, 'expected the JSON that an agent of this release writes', path);
    return stored;
  }

  return Object.freeze({
    path,
    async load() {
      const stored = await storedState();
      return stored === undefined ? undefined : { stored, keys: await keysOf(stored.key + KEYS) };
    },
    async spareKeys() {
      const own = (await storedState())?.key;
      const name = (await keyNames()).find((one) => one !== own + KEYS);
      return name === undefined ? undefined : keysOf(name);
    },
    keepKeys: (keys: AgentKeys) => inTurn(() => replace(keys.publicKey + KEYS, agentKeysText(keys))),
    save: (stored: StoredIdentity, asked?: string) =>
      inTurn(async () => {
        await replace(STATE, `${JSON.stringify(stored, null, 2)}\n`);
        for (const name of await keyNames()) {
          if (name !== stored.key + KEYS && name !== asked + KEYS)
            await rm(join(path, name), { force: true });
        }
      }),
  });
}

/** The text of a file that nobody else may read, as with the keys of SSH; undefined if there is none. */
async function readSecret(file: string): Promise<string | undefined> {
  const handle = await open(file).catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  try {
    const { mode, size } = await handle.stat();
    if ((mode & 0o077) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(4, '0');
      throw new Error(
        `${file}: others can read or write it (mode ${found}): if nobody has, chmod 600 it; else revoke the agent and enrol it anew`,
      );
    }
    if (size > LIMITS.identityFileBytesMax) {
      throw new Error(`${file}: over ${LIMITS.identityFileBytesMax} bytes, so no agent wrote it`);
    }
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

function parse(text: string): StoredIdentity | undefined {
  let value: Partial<StoredIdentity> | null = null;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const sound =
    value?.version === 1 &&
    [value.mesh, value.agent, value.identity, value.sealedBy, value.trust].every(
      (one) => typeof one === 'string',
    ) &&
    isPublicNkey('user', value.key) &&
    Number.isFinite(value.keysSinceMs) &&
    Array.isArray(value.roots) &&
    value.roots.length > 0 &&
    value.roots.every((root) => isPublicNkey('account', root)) &&
    Array.isArray(value.keys) &&
    typeof value.revisions === 'object' &&
    value.revisions !== null &&
    Object.values(value.revisions).every(isRevision);
  return sound ? (value as StoredIdentity) : undefined;
}

function damaged(file: string, what: string, folder: string): Error {
  return new Error(
    `${file} is damaged: ${what}. Put a copy back, or remove ${folder} and start the agent with a new token of \`weft token create\``,
  );
}
