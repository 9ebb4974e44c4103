/** `weft up` as an operator of its own mesh: it has the root. */
import { readFile } from 'node:fs/promises';
import { verificationKey } from '../protocol/nkey.ts';
import { readRoot } from '../protocol/root.ts';
import { signingKey } from '../protocol/signed-document.ts';
import { type ApiClient, connectOperator, createApiClient } from './api-client.ts';
import type { MeshContext } from './context.ts';

export interface OwnMesh {
  readonly mesh: string;
  readonly rootFile: string;
  readonly servers: readonly string[];
  readonly creds?: string;
  /** Of its NATS user, if NATS asks for one. Secret. */
  readonly natsSeed: string | undefined;
}

/** Connects, and closes again when `use` has ended. */
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
    signingKey: async () => signingKey(await root()),
    rootPublicKey: async () => (await root()).publicKey,
    rootKey: async () => verificationKey((await root()).publicKey),
  };
  const connection = await connectOperator(context);
  try {
    return await use(createApiClient(connection, context), context);
  } finally {
    await connection.close();
  }
}
