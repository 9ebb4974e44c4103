/** The agents of `weft up`: which of them have an identity that fits, and join tokens for the others. */
import { rm } from 'node:fs/promises';
import { createIdentityFolder } from '../agent/trust/identity-folder.ts';
import { checkIdentity } from '../protocol/identity.ts';
import { verificationKey } from '../protocol/nkey.ts';
import type { ApiClient } from './api-client.ts';
import type { MeshContext } from './context.ts';
import { makeToken } from './join-token.ts';
import type { MeshAgent } from './mesh-config.ts';
import type { RootFiles } from './root-files.ts';

/** Hosts of this machine start at once. */
const TTL_MS = 10 * 60_000;

/**
 * Whether an agent can start with what it has kept: an identity of these roots, for the workloads that it has now. One that has
 * not heard of the root that signs would believe nobody.
 * @param data its data folder
 * @throws Error if what it has kept is damaged
 */
export async function hasIdentity(
  agent: MeshAgent,
  data: string,
  mesh: string,
  { present, other }: RootFiles,
): Promise<boolean> {
  const kept = await createIdentityFolder(data).load();
  if (!kept?.stored.roots.includes(present.publicKey)) return false;
  const roots = [present, ...(other === undefined ? [] : [other])];
  const keys = roots.map(({ publicKey }) => verificationKey(publicKey));
  try {
    const { workloads } = checkIdentity(keys, mesh, kept.stored.identity, Date.now());
    return agent.services.every((service) => workloads.has(service));
  } catch {
    return false;
  }
}

/** @returns the token with which it joins; what it has kept of before, it begins without */
export async function invite(
  agent: MeshAgent,
  data: string,
  api: ApiClient,
  context: MeshContext,
  natsSeed: string | undefined,
): Promise<string> {
  await rm(createIdentityFolder(data).path, { recursive: true, force: true });
  const { host, services } = agent;
  const { text } = await makeToken(api, context, { host, workloads: services, ttlMs: TTL_MS, natsSeed });
  return text;
}
