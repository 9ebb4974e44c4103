/** An identity on disk, as an agent that was enrolled has it, without a controller: with the service keys of the first epoch. */

import { createIdentityFolder } from '../../src/agent/trust/identity-folder.ts';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { sealTo } from '../../src/protocol/enrolment.ts';
import { issueIdentity } from '../../src/protocol/identity.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { serviceSecret } from '../../src/protocol/service-key.ts';

const EPOCH = 1;

/** @param data the agent's data folder @param services `orders.default` */
export async function giveIdentity(
  data: string,
  rootSeed: string,
  mesh: string,
  agent: string,
  services: readonly string[],
): Promise<void> {
  const root = readRoot(rootSeed);
  const keys = createAgentKeys();
  const sealing = createAgentKeys();
  const seal = sealTo(keys.boxKey, sealing.boxSecret);
  const issuedAtMs = Date.now();
  const identity = issueIdentity(root, mesh, {
    agent,
    signingKey: keys.publicKey,
    boxKey: keys.boxKey,
    workloads: new Set(services),
    issuedAtMs,
    expiresAtMs: issuedAtMs + LIMITS.identityMs,
  });
  const folder = createIdentityFolder(data);
  await folder.keepKeys(keys);
  await folder.save({
    version: 1,
    mesh,
    agent,
    key: keys.publicKey,
    keysSinceMs: issuedAtMs,
    roots: [root.publicKey],
    identity,
    sealedBy: Buffer.from(sealing.boxKey).toString('base64url'),
    keys: services.map((service) => ({
      service,
      epoch: EPOCH,
      sealed: seal(serviceSecret(root, mesh, service, EPOCH)),
    })),
    trust: '',
    revisions: {},
  });
}
