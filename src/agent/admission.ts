/** Which workloads of this agent take requests now: those that are ready, may be served, and whose policy is known. */
import type { PeerIdentity } from '../protocol/introduction.ts';
import type { Keyring } from '../protocol/keyring.ts';
import { compareRevisions, NO_REVISION } from '../protocol/revision.ts';
import type { AgentConfig } from './config.ts';
import type { SnapshotSource } from './outbound/route-book.ts';
import type { Membership } from './trust/membership.ts';
import { tokenAdvice } from './trust/token-advice.ts';

/** While NATS is away when it starts, an agent takes those of its own host, for services whose policy it has kept on disk. */
export type Accepting = 'nothing' | 'kept' | 'all';

export interface AdmissionParts {
  readonly config: AgentConfig;
  readonly self: PeerIdentity;
  readonly keyring: Keyring;
  readonly membership: Membership | undefined;
  readonly source: SnapshotSource;
  /** Those that have an upstream here. */
  readonly services: readonly string[];
  isReady(service: string): boolean;
  /** Services that take requests; this one writes it. */
  readonly serving: Set<string>;
  /** Has the bus bring requests for it. @param shared from its queue group too */
  join(service: string, shared: boolean): void;
  leave(service: string): void;
}

export type Admission = ReturnType<typeof createAdmission>;

export function createAdmission(parts: AdmissionParts) {
  const { config, self, keyring, membership, source, services, serving } = parts;
  let accepting: Accepting = 'nothing';

  /** Who may call a service stands in its snapshot: as long as there is one that is not here, nobody may. */
  function lacksPolicy(service: string): boolean {
    if (membership === undefined || source.get(service) !== undefined) return false;
    return compareRevisions(membership.floor('snapshot', service), NO_REVISION) > 0;
  }

  /** Takes requests for it, or takes none any more; what runs already goes on. */
  function look(service: string): void {
    const may = keyring.fault === undefined && parts.isReady(service) && !lacksPolicy(service);
    const kept = accepting === 'kept' && source.get(service) !== undefined;
    if (may && (kept || accepting === 'all')) serving.add(service);
    else serving.delete(service);
    if (may && accepting === 'all') parts.join(service, keyring.canServe(service));
    else parts.leave(service);
  }

  function lookAll(): void {
    for (const service of services) look(service);
  }

  /** Services whose requests are refused because nobody has said yet who may call them, in words. */
  function unknownPolicies(): string[] {
    if (config.defaultAction === 'allow') return [];
    const unknown = services.filter((service) => source.get(service) === undefined);
    return unknown.map((service) => `${service}: no signed snapshot is held, so nobody is let in`);
  }

  /** What keeps workloads from being served that are ready, in words. */
  function unserved(): string[] {
    const said: string[] = [];
    for (const service of services) {
      if (!self.workloads.has(service)) {
        said.push(`${service}: the identity of ${config.host} does not name it; ${tokenAdvice(config)}`);
      } else if (lacksPolicy(service)) said.push(`${service}: its published snapshot is not here yet`);
      else if (!keyring.canServe(service)) said.push(`${service}: its present key is not here yet`);
    }
    return said;
  }

  return Object.freeze({
    get accepting() {
      return accepting;
    },
    accept(what: Accepting) {
      accepting = what;
      lookAll();
    },
    /** From now on nothing new is let in; who is asked to leave is told by the workloads. */
    close() {
      accepting = 'nothing';
    },
    look,
    lookAll,
    waiting: () => [...unknownPolicies(), ...unserved()],
  });
}
