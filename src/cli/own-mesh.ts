/** `weft up` as an operator of its own mesh: it has the root. */
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { verificationKey } from '../protocol/nkey.ts';
import { readRoot } from '../protocol/root.ts';
import { signingKey } from '../protocol/signed-document.ts';
import { type ApiClient, connectOperator, createApiClient } from './api-client.ts';
import type { MeshContext } from './context.ts';
import { UnreachableError } from './exit.ts';

export interface OwnMesh {
  readonly mesh: string;
  readonly rootFile: string;
  readonly servers: readonly string[];
  readonly creds?: string;
  /** Of its NATS user, if NATS asks for one. Secret. */
  readonly natsSeed: string | undefined;
}

const TRIES_MAX = 3;
const PAUSE_MS = 250;

/** Connects, and closes again when `use` has ended. @param use can be done twice */
export async function withOwnMesh<T>(
  { rootFile, creds, mesh, servers, natsSeed }: OwnMesh,
  use: (api: ApiClient, context: MeshContext) => Promise<T>,
): Promise<T> {
  const root = async () => readRoot(await readFile(rootFile, 'utf8'));
  const context: MeshContext = {
    mesh,
    servers,
    creds,
    natsSeed,
    signer: async () => ({ key: signingKey(await root()) }),
    root,
    rootPublicKey: async () => (await root()).publicKey,
    rootKey: async () => verificationKey((await root()).publicKey),
  };
  for (let tries = 1; ; tries++) {
    try {
      return await once(context, use);
    } catch (error) {
      // Its nats-server reads anew who may use it whenever an agent has joined, and connections may break over that.
      if (!(error instanceof UnreachableError) || tries >= TRIES_MAX) throw error;
      await wait(PAUSE_MS);
    }
  }
}

async function once<T>(
  context: MeshContext,
  use: (api: ApiClient, context: MeshContext) => Promise<T>,
): Promise<T> {
  const connection = await connectOperator(context);
  try {
    return await use(createApiClient(connection, context), context);
  } finally {
    await connection.close();
  }
}
