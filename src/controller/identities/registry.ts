/**
 * Whom the mesh has enrolled, as the identity store says it. Everything here changes by one change set of that store, so that
 * two controllers never both act, and a token is used up in the same moment in which its agent is enrolled.
 *
 * Invariants: R1 a token enrols one agent, once, on the host that it names, before it expires; who has used it may ask once
 * more with the same keys, should the answer have been lost; R2 an agent asks with the key
 * that it is enrolled with, or for a while with the one before, which replaces no keys; R3 what was issued before an agent was cut off is cut off
 * everywhere, and it gets nothing more until a new token is used for it; R4 nothing follows from a store that may have been
 * set back: neither a change, nor an identity.
 */
import type { IdentityView } from '../../protocol/api.ts';
import type { JoinRequest, RenewalRequest } from '../../protocol/enrolment.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Revision } from '../../protocol/revision.ts';
import type { Cutoff } from '../../protocol/trust-list.ts';
import { ControllerError } from '../controller-error.ts';
import { CONTROLLER_LIMITS, type Timing } from '../limits.ts';
import type { OperatorRecord } from '../operators.ts';
import { type Listed, listKey } from '../paging.ts';
import type { Roots } from '../roots.ts';
import type { Store } from '../store.ts';
import {
  type EnrolledAgent,
  type IdentityRecord,
  identityKey,
  type ServiceEpoch,
  type TokenRecord,
} from './identity-record.ts';
import { firstEpoch, isDue, nextEpoch, openEpochs } from './service-epochs.ts';

export interface RegistryOptions {
  readonly store: Pick<Store<IdentityRecord>, 'list' | 'apply' | 'doubt'>;
  readonly roots: Roots;
  readonly timing: Pick<Timing, 'keyLeadMs' | 'keyLeadRevokedMs'>;
  readonly wallMs: () => number;
  /** Something has changed. */
  readonly committed: () => void;
  /** Whether those who may know of newer changes than the store does would have said so. */
  readonly settled: () => boolean;
  /** What a trust list may have, bytes. */
  readonly trustBytesMax: () => number;
}

/** Who changes something, for the history; and the number of the call, which is then spent. */
export interface ChangedBy {
  readonly author: string;
  readonly nonce: string;
}

/** Of an agent's identity, as it shows it. */
interface Heard {
  readonly expiresAtMs: number;
  readonly issuer: string;
  /** The trust list that the agent goes by. */
  readonly trust: Revision | undefined;
}

export type Registry = ReturnType<typeof createRegistry>;

const SECOND_MS = 1_000;
/** How long the one who has joined may ask for the answer once more. */
const ASKED_AGAIN_MS = 10 * 60_000;
/** How long the number of a call, a join or a renewal is remembered. */
const SPENT_MS = 2 * 60_000;

export function createRegistry({
  store,
  roots,
  timing,
  wallMs,
  committed,
  settled,
  trustBytesMax,
}: RegistryOptions) {
  const root = roots.present.publicKey;
  let records = new Map<string, IdentityRecord>();

  const tokenOf = (id: string): TokenRecord | undefined => {
    const record = records.get(`token.${id}`);
    return record !== undefined && 'token' in record ? record.token : undefined;
  };
  const agentOf = (name: string): EnrolledAgent | undefined => {
    const record = records.get(`agent.${name}`);
    return record !== undefined && 'agent' in record ? record.agent : undefined;
  };
  const operatorOf = (name: string): OperatorRecord | undefined => {
    const record = records.get(`operator.${name}`);
    return record !== undefined && 'operator' in record ? record.operator : undefined;
  };
  const keysOf = (service: string) => {
    const record = records.get(`service.${service}`);
    return record !== undefined && 'service' in record ? record.service : undefined;
  };
  const agents = function* (): Iterable<EnrolledAgent> {
    for (const record of records.values()) if ('agent' in record) yield record.agent;
  };
  const tokens = function* (): Iterable<TokenRecord> {
    for (const record of records.values()) if ('token' in record) yield record.token;
  };

  /** R4. @throws ControllerError `not_leading` for the first moments, `unavailable` */
  const checkCertain = (): void => {
    if (!settled()) {
      throw new ControllerError(
        'not_leading',
        'this controller has just begun to listen to agents, which may know of changes that its store has lost: ask again in a moment',
      );
    }
    if (store.doubt !== undefined) {
      throw new ControllerError('unavailable', `${store.doubt}: \`weft check\` says what to do`);
    }
  };

  /** Carries out one change set. A record that is null is taken away. */
  const commit = async (
    next: readonly IdentityRecord[],
    { author, nonce }: ChangedBy,
    forgotten: readonly string[] = [],
  ): Promise<void> => {
    checkCertain();
    const nowMs = wallMs();
    const time = new Date(nowMs).toISOString();
    const writes = [
      ...next.map((resource) => ({ key: identityKey(resource), resource })),
      ...forgotten.map((key) => ({ key, resource: null })),
    ];
    await store.apply(
      writes.map(({ key, resource }) => {
        const change = resource === null ? 'deleted' : records.has(key) ? 'configured' : 'created';
        return { key, record: { resource, author, time, change } };
      }),
      { nonce, nowMs, untilMs: nowMs + SPENT_MS },
    );
    for (const { key, resource } of writes) {
      if (resource === null) records.delete(key);
      else records.set(key, resource);
    }
    committed();
  };

  /** When an agent's identities from before hold no more; undefined if they do. */
  const cutoffOf = ({ revokedMs, replacedMs }: EnrolledAgent, nowMs: number): number | undefined => {
    const replaced =
      replacedMs !== undefined && nowMs >= replacedMs + LIMITS.agentKeyOverlapMs ? replacedMs : undefined;
    if (revokedMs === undefined) return replaced;
    return Math.max(revokedMs, replaced ?? revokedMs);
  };

  /** Keys for services that have none yet. */
  const newEpochs = (workloads: readonly string[], nowMs: number): IdentityRecord[] =>
    workloads
      .filter((service) => keysOf(service) === undefined)
      .map((service) => ({ service: firstEpoch(service, root, nowMs) }));

  /** What a renewal has to be signed with, newest first (R2). @throws ControllerError `denied` (R3) */
  const renewalKeys = (name: string): readonly string[] => {
    const agent = agentOf(name);
    if (agent?.enrolled !== true) {
      const state = agent === undefined ? 'is not enrolled' : 'was revoked';
      throw new ControllerError(
        'denied',
        `renewal: the agent ${name} ${state}: enrol it with a token of \`weft token create --host ${name}\``,
      );
    }
    const { key, formerKey, keyMs } = agent;
    const former = formerKey !== undefined && wallMs() < keyMs + LIMITS.agentKeyOverlapMs ? [formerKey] : [];
    return [key, ...former];
  };

  return Object.freeze({
    /** Reads all of it. @throws an error of the client */
    async load(): Promise<void> {
      const found = await store.list();
      records = new Map([...found].map(([key, { resource }]) => [key, resource]));
    },

    checkCertain,
    agent: agentOf,
    token: tokenOf,
    operator: operatorOf,
    operators: function* (): Iterable<OperatorRecord> {
      for (const record of records.values()) if ('operator' in record) yield record.operator;
    },

    /** @throws an error of the store */
    keepOperator: (operator: OperatorRecord, by: ChangedBy, forgotten: readonly string[]): Promise<void> =>
      commit(
        [{ operator }],
        by,
        forgotten.map((name) => `operator.${name}`),
      ),

    /** True if an identity that was issued then holds no more. Of one that is not known here its signature decides alone. */
    isCut(name: string, issuedAtMs: number): boolean {
      const agent = agentOf(name);
      return agent !== undefined && issuedAtMs < (cutoffOf(agent, wallMs()) ?? Number.NEGATIVE_INFINITY);
    },

    /** Epochs of a service's key that are to be known, oldest first; undefined if it has none. */
    epochs(service: string): readonly ServiceEpoch[] | undefined {
      const record = keysOf(service);
      return record === undefined ? undefined : openEpochs(record.keys, roots, wallMs());
    },

    /** @throws ControllerError `unavailable` if too many are open; an error of the store */
    async invite(token: TokenRecord, by: ChangedBy): Promise<void> {
      const nowMs = wallMs();
      const over: string[] = [];
      let open = 0;
      for (const one of tokens()) {
        if (Math.max(one.expiresMs, one.usedMs ?? 0) + CONTROLLER_LIMITS.tokenForgottenMs < nowMs)
          over.push(identityKey({ token: one }));
        else open += 1;
      }
      if (open >= CONTROLLER_LIMITS.tokensMax) {
        throw new ControllerError(
          'unavailable',
          `${open} join tokens are kept already; old ones are forgotten after 30 days`,
        );
      }
      await commit([{ token }], by, over.slice(0, 100));
    },

    /**
     * Enrols the agent that a proven join is of (R1).
     * @returns it, as it is enrolled. @throws ControllerError `denied`, with what is wrong with its token; see R4
     */
    async join(request: JoinRequest): Promise<EnrolledAgent> {
      checkCertain();
      const nowMs = wallMs();
      const token = tokenOf(request.token);
      const known = token && agentOf(token.host);
      if (known !== undefined && isSameJoin(token, known, request, nowMs)) return known;
      const why = refusalOf(token, request, root, nowMs);
      if (token === undefined || why !== undefined) throw new ControllerError('denied', `join token: ${why}`);
      const { host, workloads } = token;
      const before = agentOf(host);
      const again = before?.revokedMs;
      const agent: EnrolledAgent = {
        agent: host,
        key: request.key,
        x25519: request.x25519,
        workloads,
        keyMs: nowMs,
        enrolled: true,
        // What had the name before is another one from now on.
        ...(before === undefined ? {} : { replacedMs: floorSecond(nowMs) }),
        ...(again === undefined ? {} : { revokedMs: again }),
      };
      const used: TokenRecord = { ...token, usedMs: nowMs };
      const by = { author: `agent ${host}`, nonce: request.nonce };
      await commit([{ token: used }, { agent }, ...newEpochs(workloads, nowMs)], by);
      return agent;
    },

    renewalKeys,

    /**
     * The agent of a proven renewal, with its new keys if it brought some.
     * @param signedBy one of `renewalKeys`, which may have changed since. @throws ControllerError `denied`; see R4
     */
    async renew({ agent: name, nonce, next }: RenewalRequest, signedBy: string): Promise<EnrolledAgent> {
      checkCertain();
      const [present, ...former] = renewalKeys(name);
      const known = signedBy === present || former.includes(signedBy);
      if (!known || (signedBy !== present && next !== undefined && next.key !== present)) {
        throw new ControllerError(
          'denied',
          `renewal: it is signed with a key of ${name} that another one has taken the place of, which gives it no new keys`,
        );
      }
      const nowMs = wallMs();
      const before = agentOf(name) as EnrolledAgent;
      const epochs = newEpochs(before.workloads, nowMs);
      const { renewMs, ...kept } = before;
      const agent: EnrolledAgent =
        next === undefined || next.key === before.key
          ? before
          : {
              ...kept,
              key: next.key,
              x25519: next.x25519,
              keyMs: nowMs,
              formerKey: before.key,
              replacedMs: floorSecond(nowMs),
            };
      const changed = [...(agent === before ? [] : [{ agent }]), ...epochs];
      if (changed.length > 0) await commit(changed, { author: `agent ${name}`, nonce });
      return agent;
    },

    /**
     * Cuts an agent off, and replaces the keys of what it served.
     * @returns the services. @throws ControllerError `not_found`
     */
    async revoke(name: string, by: ChangedBy): Promise<readonly string[]> {
      const nowMs = wallMs();
      const agent = agentOf(name);
      if (agent === undefined) throw new ControllerError('not_found', `no agent ${name} is enrolled`);
      const services = agent.workloads.flatMap((service) => keysOf(service) ?? []);
      const revoked: EnrolledAgent = {
        ...agent,
        enrolled: false,
        // An identity has whole seconds: one of this second is cut off too.
        revokedMs: floorSecond(nowMs) + SECOND_MS,
      };
      // A token that is open for its host could bring it back.
      const open = [...tokens()].filter(({ host, usedMs }) => host === name && usedMs === undefined);
      await commit(
        [
          { agent: revoked },
          ...open.map((token) => ({ token: { ...token, expiresMs: Math.min(token.expiresMs, nowMs) } })),
          ...services.map((one) => ({
            service: nextEpoch(one, root, nowMs, nowMs + timing.keyLeadRevokedMs),
          })),
        ],
        by,
      );
      return services.map(({ service }) => service);
    },

    /** @returns when callers begin to use the next key. @throws ControllerError `not_found` */
    async rotateService(service: string, by: ChangedBy): Promise<number> {
      const nowMs = wallMs();
      const record = keysOf(service);
      if (record === undefined) {
        throw new ControllerError('not_found', `${service} has no key: no agent is enrolled for it`);
      }
      const fromMs = nowMs + timing.keyLeadMs;
      await commit([{ service: nextEpoch(record, root, nowMs, fromMs) }], by);
      return fromMs;
    },

    /**
     * Has an agent make new keys.
     * @throws ControllerError `not_found`; `unavailable` if the trust list would leave too little room for revocations
     */
    async rotateAgent(name: string, by: ChangedBy): Promise<number> {
      const agent = agentOf(name);
      if (agent?.enrolled !== true) throw new ControllerError('not_found', `no agent ${name} is enrolled`);
      const renewMs = wallMs();
      const { revoked, renew } = this.cutoffs();
      const all = [...revoked, ...renew, { agent: name, beforeMs: renewMs }];
      const bytes = Math.ceil((JSON.stringify(all).length * 4) / 3);
      if (bytes > trustBytesMax() / 2) {
        throw new ControllerError(
          'unavailable',
          `the trust list names ${all.length - 1} agents, and the rest of its room is for revocations: rotate this one when those before have been renewed for a day`,
        );
      }
      await commit([{ agent: { ...agent, renewMs } }], by);
      return renewMs;
    },

    /** Replaces the keys that have been in use for long. @returns their services. @throws an error of the store */
    async rotateDue(): Promise<readonly string[]> {
      const nowMs = wallMs();
      const due: IdentityRecord[] = [];
      for (const record of records.values()) {
        if ('service' in record && isDue(record.service.keys, roots, nowMs) && due.length < 100)
          due.push({ service: nextEpoch(record.service, root, nowMs, nowMs + timing.keyLeadMs) });
      }
      if (due.length > 0) await commit(due, { author: 'schedule', nonce: `schedule ${nowMs}` });
      return due.flatMap((record) => ('service' in record ? [record.service.service] : []));
    },

    /** How many services have a key, and of how many the one in use follows from the root that signs. */
    keyProgress(): { readonly of: number; readonly replaced: number } {
      const nowMs = wallMs();
      let [of, replaced] = [0, 0];
      for (const record of records.values()) {
        if (!('service' in record)) continue;
        of += 1;
        const used = record.service.keys.findLast(({ fromMs }) => fromMs <= nowMs);
        if (used?.root === root) replaced += 1;
      }
      return { of, replaced };
    },

    /** Those that may use the bus, with the key that they have, and for a while with the one before. */
    *enrolled(): Iterable<Pick<EnrolledAgent, 'agent' | 'key' | 'workloads'>> {
      const nowMs = wallMs();
      for (const { agent, key, workloads, enrolled, formerKey, keyMs } of agents()) {
        if (!enrolled) continue;
        yield { agent, key, workloads };
        if (formerKey !== undefined && nowMs < keyMs + LIMITS.agentKeyOverlapMs)
          yield { agent, key: formerKey, workloads };
      }
    },

    /** What the trust list says of agents now. */
    cutoffs(): { readonly revoked: readonly Cutoff[]; readonly renew: readonly Cutoff[] } {
      const nowMs = wallMs();
      const revoked: Cutoff[] = [];
      const renew: Cutoff[] = [];
      // What was issued earlier than this has expired by itself.
      const oldestMs = nowMs - LIMITS.identityMs - LIMITS.identitySkewMs;
      for (const agent of agents()) {
        const beforeMs = cutoffOf(agent, nowMs);
        if (beforeMs !== undefined && beforeMs > oldestMs) revoked.push({ agent: agent.agent, beforeMs });
        if (agent.enrolled && agent.renewMs !== undefined && agent.keyMs < agent.renewMs)
          renew.push({ agent: agent.agent, beforeMs: agent.renewMs });
      }
      return { revoked, renew };
    },

    /** Those that are enrolled, and tokens that are open. @param heard what an agent's last heartbeat came with */
    view(name: string | undefined, heard: (agent: string) => Heard | undefined): Listed<IdentityView>[] {
      const nowMs = wallMs();
      const listed: Listed<IdentityView>[] = [];
      for (const agent of agents()) {
        if (name !== undefined && agent.agent !== name) continue;
        const key = listKey(agent.agent);
        listed.push({ key, make: () => viewOfAgent(agent, heard(agent.agent), nowMs) });
      }
      for (const token of tokens()) {
        if (token.usedMs !== undefined || token.expiresMs <= nowMs) continue;
        if (name !== undefined && token.host !== name) continue;
        listed.push({ key: listKey(token.host, token.id), make: () => viewOfToken(token) });
      }
      return listed;
    },
  });
}

/** Whether it is the join by which the agent was enrolled, asked anew. */
function isSameJoin(
  token: TokenRecord | undefined,
  agent: EnrolledAgent,
  request: JoinRequest,
  nowMs: number,
): boolean {
  return (
    token?.usedMs === agent.keyMs &&
    nowMs <= agent.keyMs + ASKED_AGAIN_MS &&
    agent.enrolled &&
    agent.key === request.key &&
    agent.x25519 === request.x25519 &&
    agent.agent === request.host
  );
}

/** Why a join is refused; undefined if it is not. */
function refusalOf(
  token: TokenRecord | undefined,
  request: JoinRequest,
  root: string,
  nowMs: number,
): string | undefined {
  if (token === undefined) return 'it is not known here: make another one with `weft token create`';
  if (token.host !== request.host) {
    return `it is for the host ${token.host}, and ${request.host} has sent it: name the host so, or make one for it`;
  }
  if (token.usedMs !== undefined) {
    return `it was used at ${new Date(token.usedMs).toISOString()}, and holds once: make another one with \`weft token create\`; if ${token.host} has not used it, somebody else has: \`weft revoke agent/${token.host}\``;
  }
  if (token.root !== root)
    return 'it is of a root that signs no more: make another one with `weft token create`';
  if (token.expiresMs <= nowMs) {
    return `it expired at ${new Date(token.expiresMs).toISOString()}: make another one with \`weft token create\``;
  }
  return undefined;
}

function viewOfAgent(agent: EnrolledAgent, heard: Heard | undefined, nowMs: number): IdentityView {
  // One that has not been heard yet was given an identity when it was given its keys, at the latest.
  const expiresMs = heard?.expiresAtMs || agent.keyMs + LIMITS.identityMs;
  const holds = expiresMs > nowMs ? 'valid' : 'expired';
  return {
    agent: agent.agent,
    state: agent.enrolled ? holds : 'revoked',
    workloads: agent.workloads,
    key: agent.key,
    root: heard?.issuer ?? '',
    ...(heard?.trust === undefined ? {} : { trust: heard.trust }),
    issued: new Date(agent.keyMs).toISOString(),
    expires: new Date(expiresMs).toISOString(),
  };
}

function viewOfToken(token: TokenRecord): IdentityView {
  return {
    agent: token.host,
    state: 'invited',
    workloads: token.workloads,
    key: '',
    root: '',
    issued: new Date(token.issuedMs).toISOString(),
    expires: new Date(token.expiresMs).toISOString(),
  };
}

function floorSecond(ms: number): number {
  return Math.floor(ms / SECOND_MS) * SECOND_MS;
}
