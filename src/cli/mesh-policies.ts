import { readFile } from 'node:fs/promises';
import { verificationKey } from '../protocol/identity.ts';
import { readRoot } from '../protocol/root.ts';
import { signingKey } from '../protocol/signed-document.ts';
import { connectOperator, createApiClient } from './api-client.ts';
import { applyManifests } from './apply.ts';
import { eachOnce, faultsError, type Manifests, readManifests } from './manifests.ts';

/**
 * Reads the `policies` of a mesh.yaml; undefined if it names none.
 * @throws ConfigError with everything that is wrong in them, UsageError if one cannot be read
 */
export async function readPolicies(paths: readonly string[]): Promise<Manifests | undefined> {
  if (paths.length === 0) return undefined;
  const manifests = eachOnce(await readManifests(paths));
  if (manifests.faults.length > 0) throw faultsError(manifests, manifests.faults);
  return manifests;
}

/**
 * Has the controller that leads apply them, all or none.
 * @returns its warnings. @throws ConfigError with the place of each fault, Error if it refuses for another reason
 */
export async function applyPolicies(
  manifests: Manifests,
  options: {
    readonly mesh: string;
    readonly rootFile: string;
    readonly servers: readonly string[];
    readonly creds?: string;
  },
): Promise<readonly string[]> {
  const { rootFile, creds, ...mesh } = options;
  const root = async () => readRoot(await readFile(rootFile, 'utf8'));
  const context = {
    ...mesh,
    creds,
    signingKey: async () => signingKey(await root()),
    rootKey: async () => verificationKey((await root()).publicKey),
  };
  const connection = await connectOperator(context);
  try {
    const api = createApiClient(connection, context);
    return (await applyManifests(manifests, false, (request) => api.call('apply', request))).warnings;
  } finally {
    await connection.close();
  }
}
