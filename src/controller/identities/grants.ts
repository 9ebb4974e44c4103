/**
 * What an agent gets for a join or a renewal: its identity, the keys of what it serves, sealed to it, and what it needs to
 * know old publications by. Nothing of it is kept: it follows from the root and the registry.
 */
import nacl from 'tweetnacl';
import { type Grant, sealTo } from '../../protocol/enrolment.ts';
import { issueIdentity } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Revision } from '../../protocol/revision.ts';
import type { Root } from '../../protocol/root.ts';
import { serviceSecret } from '../../protocol/service-key.ts';
import { signDocument } from '../../protocol/signed-document.ts';
import { publicationKey } from '../../protocol/subjects.ts';
import { TRUST_NAME } from '../../protocol/trust-list.ts';
import type { Publisher } from '../publisher.ts';
import type { Roots } from '../roots.ts';
import type { EnrolledAgent } from './identity-record.ts';
import type { Registry } from './registry.ts';

export interface GrantOptions {
  readonly mesh: string;
  readonly roots: Roots;
  readonly registry: Registry;
  /** Made later than this. */
  readonly publisher: () => Publisher;
  readonly wallMs: () => number;
}

export type Grants = ReturnType<typeof createGrants>;

export function createGrants({ mesh, roots, registry, publisher, wallMs }: GrantOptions) {
  const own = nacl.box.keyPair();
  const sealedBy = Buffer.from(own.publicKey).toString('base64url');

  const floors = (services: readonly string[]): Readonly<Record<string, Revision>> => {
    const found: Record<string, Revision> = {};
    const add = (kind: 'snapshot' | 'endpoints' | 'trust', service: string) => {
      const revision = publisher().revisionOf(service, kind);
      if (revision !== undefined) found[publicationKey(kind, service)] = revision;
    };
    add('trust', TRUST_NAME);
    for (const service of services) {
      add('snapshot', service);
      add('endpoints', service);
    }
    return found;
  };

  return Object.freeze({
    /** @returns the signed answer. @throws an error of the client */
    async make(agent: EnrolledAgent, nonce: string, services: readonly string[]): Promise<string> {
      const nowMs = wallMs();
      const boxKey = Buffer.from(agent.x25519, 'base64url');
      const seal = sealTo(boxKey, own.secretKey);
      // Of the second in which an agent came back, an identity would be cut off with those from before.
      const issuedAtMs = Math.max(nowMs, agent.revokedMs ?? 0);
      const identity = issueIdentity(roots.present, mesh, {
        agent: agent.agent,
        signingKey: agent.key,
        boxKey,
        workloads: new Set(agent.workloads),
        issuedAtMs,
        expiresAtMs: issuedAtMs + LIMITS.identityMs,
      });
      const keys = agent.workloads.flatMap((service) =>
        (registry.epochs(service) ?? []).map(({ epoch, root }) => ({
          service,
          epoch,
          sealed: seal(serviceSecret(roots.of(root) as Root, mesh, service, epoch)),
        })),
      );
      const list = (await publisher().document('trust', TRUST_NAME)) ?? '';
      const grant: Grant = {
        mesh,
        agent: agent.agent,
        nonce,
        timeMs: nowMs,
        identity,
        sealedBy,
        keys,
        // One for which the answer has no room is heard on the bus, like those that come later.
        trust: list.length <= LIMITS.publicationBytesMax / 2 ? list : '',
        revisions: floors(services),
      };
      return signDocument(roots.signingKey, 'weft-grant', grant);
    },
  });
}
