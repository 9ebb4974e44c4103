/**
 * The controller of a mesh, put together. Every controller hears the agents and answers what changes nothing; the one that
 * leads writes: resources, snapshots, endpoint lists, and what is kept of the fleet.
 */
import type { NatsConnection } from '@nats-io/nats-core';
import type { Logger } from 'pino';
import type { NatsUsers } from '../nats/users.ts';
import { CHANGING_VERBS } from '../protocol/api-call.ts';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { LIMITS } from '../protocol/limits.ts';
import { createLogRate } from '../protocol/log-rate.ts';
import type { Root } from '../protocol/root.ts';
import { heartbeatsSubject } from '../protocol/subjects.ts';
import { type Api, createApi } from './api/api.ts';
import { loadApiSchema } from './api/api-schema.ts';
import { createCallGuard } from './api/call-guard.ts';
import { createNatsApi } from './api/nats-api.ts';
import { createNatsService } from './api/nats-service.ts';
import { createAudit } from './audit.ts';
import { createAuditStream } from './audit-stream.ts';
import { listenBeats } from './beat-queue.ts';
import { isMissing, isTimeout, openBuckets, raiseReplicas } from './buckets.ts';
import { followConnection } from './connect.ts';
import { createDistributor } from './distributor.ts';
import { createFleet } from './fleet.ts';
import { createHeartbeatCheck } from './heartbeat-check.ts';
import { createIdentities } from './identities/identities.ts';
import { createIncidents } from './incidents.ts';
import { createKeeper } from './keeper.ts';
import { createLeader, type LeaderState } from './leader.ts';
import { createLease } from './lease.ts';
import { CONTROLLER_LIMITS, TIMING, type Timing } from './limits.ts';
import { type ControllerMetrics, createControllerMetrics } from './metrics.ts';
import { createOperators } from './operators.ts';
import { createPolicy } from './policy.ts';
import { createPublisher } from './publisher.ts';
import type { Resource } from './resources/resource.ts';
import { checkRoot } from './root-check.ts';
import { createRoots } from './roots.ts';
import { createRound } from './round.ts';
import { createSeal } from './seal.ts';
import { createSerial } from './serial.ts';
import { createStore } from './store.ts';
import { createVerbs } from './verbs.ts';
import { createViews } from './views.ts';

export interface ControllerOptions {
  /** Its own; it is not closed here. */
  readonly connection: NatsConnection;
  /** On which agents are heard; not closed here either. One of its own keeps a flood of them from holding up the buckets. */
  readonly heartbeats?: NatsConnection;
  readonly mesh: string;
  /** Signs. */
  readonly root: Root;
  /** The next or the former one, while one takes the other's place. */
  readonly otherRoot?: Root;
  /** Hears who may use the bus, when a term of leading begins and after each change. */
  readonly usersChanged?: (users: BusUsers) => void;
  /** Has this controller end, and begin anew with the roots that are there then. */
  readonly reload?: () => void;
  /** Of this process, among all controllers. */
  readonly id: string;
  readonly release: string;
  readonly log: Logger;
  /** What becomes of requests to services that no ALLOW policy is about; `allow` if it is not said. */
  readonly defaultAction?: DefaultAction;
  readonly timing?: Partial<Timing>;
  /** Monotonic and wall clock, ms. */
  readonly now?: () => number;
  readonly wallMs?: () => number;
}

/** Agents and operators that are in the mesh now, with their public NKeys. */
export type BusUsers = Pick<NatsUsers, 'agents' | 'operators'>;

export interface Controller {
  readonly state: LeaderState;
  /** Leads, with everything loaded; or stands by while another one leads. */
  readonly ready: boolean;
  /** Why it is not ready, in words. */
  readonly reason: string | undefined;
  /** True if it carries out what changes something. */
  readonly leading: boolean;
  readonly api: Api;
  readonly metrics: ControllerMetrics;
  /** Releases the lease, if it has it, and ends all subscriptions. Idempotent. */
  stop(): Promise<void>;
}

/** Opens the buckets and starts. @throws the client's error if JetStream does not answer, or is not there */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { connection, mesh, root, id, log, now = () => performance.now(), wallMs = Date.now } = options;
  const { heartbeats = connection } = options;
  const timing = { ...TIMING, ...options.timing };
  const roots = createRoots(root, options.otherRoot);
  const payloadBytesMax = () => connection.info?.max_payload ?? 1024 * 1024;
  /** Agents take no longer documents, whatever the bus takes. */
  const publicationBytesMax = () => Math.min(payloadBytesMax(), LIMITS.publicationBytesMax);
  const metrics = createControllerMetrics();
  const buckets = await openBuckets(connection, mesh);

  let up = true;
  let hearing = true;
  /** Whether a term of leading has been prepared, and lasts. */
  let acting = false;
  let term = 0;
  let toKeep = false;
  const leading = () => acting && up && leader.leading;
  /** What changes stores is done one after another. */
  const inTurn = createSerial();
  const refreshing = createSerial();

  const tampering = createIncidents(CONTROLLER_LIMITS.tamperedToldMs, wallMs);
  const floods = createIncidents(CONTROLLER_LIMITS.floodToldMs, wallMs);
  const tampered = (bucket: string, key: string) => {
    metrics.tampered(bucket);
    tampering.add(`${bucket} ${key}`);
  };
  let toldTampering = 0;
  const tellTampering = () => {
    const { count, names } = tampering.recent ?? { count: 0, names: [] };
    if (count > toldTampering) log.warn({ count, names }, 'somebody else writes into the buckets; put right');
    toldTampering = count;
  };

  const failed = (error: unknown) => {
    metrics.failed();
    log.warn({ err: error }, 'a bucket could not be read or written: no longer leading');
    leader.lost();
  };

  const fleet = createFleet({
    timing,
    wallMs,
    changed: (services) => distributor.endpointsChanged(services),
    known: (services) => distributor.knownChanged(services),
    toKeep: () => {
      toKeep = true;
    },
  });
  const seal = createSeal({ mesh, signingKey: roots.signingKey, rootKeys: roots.keys });
  await checkRoot({ buckets, seal, mesh, publicKey: root.publicKey });
  const auditStream = createAuditStream(connection, mesh);
  const trail = createAudit({
    stream: auditStream,
    mesh,
    controller: id,
    signingKey: roots.signingKey,
    payloadBytesMax,
    wallMs,
    counted: metrics.audited,
    failing(error) {
      if (error === undefined) log.info('the audit stream is written again');
      else
        log.error({ err: error }, 'the audit stream cannot be written; entries wait, and changes are made');
    },
  });
  /** Anybody can bring them about, any number. */
  const mayLogRefusal = createLogRate(CONTROLLER_LIMITS.refusalsLoggedPerSecond, now, (count) =>
    log.warn({ count }, 'more joins and renewals were refused'),
  );
  const refusals = createIncidents(CONTROLLER_LIMITS.tamperedToldMs, wallMs);
  const identities = createIdentities({
    mesh,
    roots,
    reload: options.reload,
    ...buckets,
    seal,
    timing,
    payloadBytesMax,
    wallMs,
    inTurn,
    leading,
    settled: () => fleet.listenedMs >= timing.agentLeaseMs,
    publisher: () => publisher,
    endpointsChanged: (services) => distributor.endpointsChanged(services),
    failed,
    committed: () => tellUsers(),
    audit: trail,
    cut(agent) {
      log.warn({ agent }, 'agent revoked');
      fleet.cut(agent);
    },
    refused(verb, details) {
      metrics.grantRefused(verb);
      refusals.add(details);
      if (mayLogRefusal()) log.warn({ verb, details }, 'an agent was granted nothing');
    },
    tampered,
  });
  const store = createStore<Resource>({ ...buckets, seal, payloadBytesMax, wallMs, tampered });
  const policy = createPolicy({
    store,
    mesh,
    knownServices: fleet.services,
    published: () => publisher.services('snapshot'),
    defaultAction: options.defaultAction ?? 'allow',
    payloadBytesMax: publicationBytesMax,
    unreadable: (key) => log.error({ key }, 'a resource in the store cannot be read; it has no effect'),
  });
  const publisher = createPublisher({
    bucket: buckets.config,
    mesh,
    roots,
    payloadBytesMax: publicationBytesMax,
    wallMs,
    serviceKeys: identities.serviceKeys,
    published(kind, service, revision) {
      metrics.published(kind);
      log.debug({ kind, service, revision }, 'published');
    },
    tampered: (key) => tampered('config', key),
    cut: (service, missing) =>
      log.error({ service, missing }, 'the endpoint list is longer than max_payload: endpoints are left out'),
    tooLong: (service, bytes) =>
      log.error({ service, bytes }, 'a publication is longer than max_payload: the one before stays'),
  });
  const witnessPublished = () => {
    store.witness(publisher.policy);
    identities.attest(publisher.trustHead);
  };
  const distributor = createDistributor({
    fleet,
    policy,
    publisher,
    leading,
    gatherMs: timing.gatherMs,
    settleMs: timing.agentLeaseMs,
    failed,
  });
  const keeper = createKeeper(buckets.state, seal, payloadBytesMax, (key) => tampered('state', key));
  // Before anybody is heard: since when they are what they are is not since this process has begun to listen.
  fleet.restore(await keeper.load());
  const views = createViews({ fleet, policy, publisher, agentLeaseMs: timing.agentLeaseMs, wallMs });
  let beginning: Promise<void> = Promise.resolve();
  const operators = createOperators({
    records: identities.registry,
    rootKeys: () => roots.keys,
    mesh,
    wallMs,
    inTurn,
    leading,
    failed,
    audit: trail,
    refresh: () => refreshing(() => (leader.state === 'leading' ? beginning : identities.refresh())),
  });
  const tellUsers = () => {
    if (!leading()) return;
    const agents = [...identities.registry.enrolled()];
    const known = operators.valid().map(({ name, role, key }) => ({ name, role, key }));
    options.usersChanged?.({ agents, operators: known });
  };
  const guard = createCallGuard({
    rootKeys: () => roots.keys,
    mesh,
    wallMs,
    revoked: operators.revoked,
    certain: identities.registry.checkCertain,
    denied(why, verb, operator) {
      metrics.denied(why);
      if (operator === undefined) return;
      const { name, role } = operator;
      log.warn({ why, verb, operator: name, role }, 'a call of an operator was denied');
      if (!leading() || !CHANGING_VERBS.has(verb)) return;
      trail.record({ verb, author: name, role, outcome: 'refused', about: `operator/${name}`, reason: why });
    },
  });
  const lease = createLease({ bucket: buckets.state, id, leaseMs: timing.leaseMs, now, wallMs });
  const api = createApi({
    schema: loadApiSchema(),
    guard,
    handlers: {
      ...identities.handlers,
      ...operators.handlers,
      ...createVerbs({
        store,
        policy,
        publisher,
        distributor,
        views,
        fleet,
        buckets: { ...buckets },
        inTurn,
        leading,
        leader: () => lease.holder,
        tampering,
        floods,
        refusals,
        identities,
        operators,
        audit: trail,
        auditStream,
        pageBytesMax: () => payloadBytesMax() - CONTROLLER_LIMITS.pageOverheadBytes,
        servers: () =>
          connection.info?.cluster === undefined ? 1 : (connection.info.connect_urls?.length ?? 1),
        wallMs,
        refresh: () =>
          refreshing(async () => {
            // Within a term, memory is what was written last; nobody else reads it anew.
            if (leader.state === 'leading') return beginning;
            await policy.refresh();
            await identities.refresh();
            await publisher.refresh();
            witnessPublished();
          }),
        failed,
      }),
    },
    called: metrics.called,
    fault: (verb, error) => log.error({ verb, err: error }, 'a call failed'),
  });
  const service = createNatsService({
    connection,
    name: 'weft',
    id,
    version: options.release,
    description: `controller of the mesh ${mesh}`,
    wallMs,
    now,
  });
  const natsApi = createNatsApi({
    api,
    service,
    mesh,
    signingKeys: roots.signingKeys,
    payloadBytesMax,
  });
  metrics.watch(fleet, leading, () => trail.waiting);

  const begin = async (mine: number): Promise<void> => {
    if (mine !== term) return;
    try {
      await openBuckets(connection, mesh);
      guard.remember(await store.takeOver());
      // What the former root has signed cannot be read any more once it is gone.
      if (options.otherRoot !== undefined) await store.rewrite();
      guard.remember(await identities.takeOver());
      const kept = await keeper.load();
      fleet.restore(kept);
      await policy.load();
      await publisher.load();
      witnessPublished();
      // What is kept may lack the last moments, and if the state bucket was lost everything: who has a list was there lately.
      const served = publisher.services('endpoints').filter((name) => {
        return !fleet.services.has(name) && (kept.services.length === 0 || publisher.listed(name).size > 0);
      });
      fleet.restore({ agents: [], services: served.map((name) => [name, wallMs()]) });
    } catch (error) {
      if (mine === term) failed(error);
      return;
    }
    if (mine !== term) return;
    acting = true;
    toKeep = true;
    raisedMs = Number.NEGATIVE_INFINITY;
    distributor.begin();
    // Changes wait their turn, until this is done.
    natsApi.lead(true);
    tellUsers();
    await identities.publishTrust().catch(failed);
    if (mine !== term) return;
    tellTampering();
    log.info({ resources: policy.resources.plain().size }, 'leading');
  };
  const end = (): void => {
    term += 1;
    if (acting) log.info('no longer leading');
    acting = false;
    store.giveUp();
    identities.giveUp();
    natsApi.lead(false);
    distributor.end();
  };
  const audit = async (): Promise<void> => {
    await inTurn(async () => {
      if (!leading() || (await store.audit())) return;
      await policy.load();
      distributor.reloaded();
    });
    await inTurn(async () => {
      if (leading()) await identities.audit();
    });
    for (const key of await distributor.audit()) tampered('config', key);
    await identities.sweep();
    // The former key of an agent is over after a while.
    tellUsers();
  };
  const leader = createLeader({
    lease: {
      ...lease,
      look: () =>
        lease.look().catch(async (error: unknown) => {
          // The store was lost; without the bucket there would never be a leader again.
          if (isMissing(error)) await openBuckets(connection, mesh);
          throw error;
        }),
    },
    renewMs: timing.leaseRenewMs,
    trustMs: timing.leaseTrustMs,
    now,
    changed(state) {
      if (state !== 'leading') return end();
      term += 1;
      const mine = term;
      // After the changes of an earlier term, which may not have heard of its end yet.
      beginning = inTurn(() => begin(mine));
    },
  });

  const beats = listenBeats({
    connection: heartbeats,
    subject: heartbeatsSubject(mesh),
    check: createHeartbeatCheck(() => roots.keys, mesh, wallMs, identities.registry.isCut),
    known: (agent) => fleet.agents.has(agent),
    hear(checked) {
      for (const head of checked.beat.heads ?? []) {
        store.attest(head);
        identities.attest(head);
      }
      if (!fleet.hear(checked)) return false;
      distributor.held(checked.beat.agent, checked.beat.applied ?? {});
      return true;
    },
    counted(result, agent) {
      metrics.beat(result);
      if (result === 'dropped') floods.add(agent);
    },
  });
  let sweptMs = now();
  const sweeper = setInterval(() => {
    const passedMs = now() - sweptMs;
    sweptMs = now();
    if (up && hearing) fleet.sweep(passedMs, beats.missed());
    distributor.sweep();
  }, timing.sweepMs);
  const stopKeeping = createRound(timing.keepMs, async () => {
    if (!toKeep || !leading()) return;
    toKeep = false;
    await keeper.save(fleet.keep()).catch(failed);
  });
  let raisedMs = Number.NEGATIVE_INFINITY;
  const raise = async (): Promise<void> => {
    if (now() - raisedMs < timing.replicasMs) return;
    raisedMs = now();
    // Whatever keeps it from them, `check` tells of the replicas that are missing.
    const streams = await raiseReplicas(connection, mesh).catch(() => []);
    if (streams.length > 0) log.info({ streams }, 'buckets have more replicas from now on');
  };
  const stopAuditing = createRound(timing.auditMs, async () => {
    if (!leading()) return;
    await audit().catch((error: unknown) => {
      // The lease says soon enough if nobody answers any more.
      if (!isTimeout(error)) failed(error);
    });
    await raise();
    tellTampering();
  });
  void followConnection(heartbeats, {
    lost() {
      hearing = false;
    },
    back() {
      hearing = true;
    },
  });
  void followConnection(connection, {
    lost() {
      up = false;
      leader.lost();
    },
    back() {
      up = true;
      leader.back();
    },
  });

  return Object.freeze({
    get state() {
      return leader.state;
    },
    get leading() {
      return leading();
    },
    get ready() {
      return this.reason === undefined;
    },
    get reason() {
      if (!up || !hearing) return 'it has no connection to NATS';
      if (leader.state === 'leading') return acting ? undefined : 'it is about to lead';
      if (leader.state === 'stopped') return 'it is stopped';
      return lease.holder === undefined || lease.holder === id ? 'no controller leads yet' : undefined;
    },
    api,
    metrics,
    async stop() {
      clearInterval(sweeper);
      stopKeeping();
      stopAuditing();
      beats.stop();
      if (leading()) await keeper.save(fleet.keep()).catch(() => {});
      end();
      await trail.stop();
      await leader.stop();
      service.stop();
    },
  });
}
