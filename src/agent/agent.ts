/**
 * The agent of one host: puts its parts together. Only this file sees the whole configuration.
 *
 *   doors ─▶ outbound ─▶ link ═ NATS ═ link ─▶ inbound ─▶ applications
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { credsAuthenticator } from '@nats-io/nats-core';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { WeftError } from '../protocol/errors.ts';
import type { PeerIdentity } from '../protocol/introduction.ts';
import type { Keyring } from '../protocol/keyring.ts';
import { LIMITS } from '../protocol/limits.ts';
import { isServiceName } from '../protocol/names.ts';
import { natsUser } from '../protocol/nats-user.ts';
import { compareRevisions, NO_REVISION } from '../protocol/revision.ts';
import { agentInbox } from '../protocol/subjects.ts';
import { Tracer } from '../protocol/trace.ts';
import { TRUST_NAME } from '../protocol/trust-list.ts';
import { createAuthorization } from './authorization.ts';
import type { AgentConfig } from './config.ts';
import { createAnnouncer } from './control/announcer.ts';
import { createControlPlane } from './control/control-plane.ts';
import { goneProcesses } from './control/gone.ts';
import { createSnapshotDisk } from './control/snapshot-disk.ts';
import { createEvidenceLog } from './evidence-log.ts';
import { createFailureLog } from './failure-log.ts';
import { probe } from './health/probe.ts';
import { createWorkloads } from './health/workloads.ts';
import { InboundProxy } from './inbound/proxy.ts';
import { Upstream } from './inbound/upstream.ts';
import { type AgentState, createLifecycle } from './lifecycle.ts';
import { type Bus, connectBus } from './link/bus.ts';
import { createLateStreams } from './link/late-streams.ts';
import { Link, type Serve } from './link/link.ts';
import { openLocal } from './link/local.ts';
import { DEAF } from './link/stream.ts';
import { AgentMetrics } from './metrics.ts';
import { Balancer } from './outbound/balancer.ts';
import { Door } from './outbound/door.ts';
import type { OpenStream } from './outbound/proxy.ts';
import { RetryBudget } from './outbound/retry.ts';
import { RouteBook, type SnapshotSource } from './outbound/route-book.ts';
import { createSocketOwners } from './outbound/socket-owner.ts';
import { Ticker } from './ticker.ts';
import { skewText } from './trust/clock-skew.ts';
import type { Membership } from './trust/membership.ts';
import { createRenewal } from './trust/renewal.ts';
import { tokenAdvice } from './trust/token-advice.ts';

export interface Agent {
  /** Opens the doors, then connects. Resolves when the agent serves; throws only if a door cannot be opened. */
  start(): Promise<void>;
  /** Leaves the queue groups, finishes what runs within the drain time, closes. Resolves when stopped. */
  drain(): Promise<void>;
  /** Ends everything at once. */
  stop(): Promise<void>;
  readonly state: AgentState;
  /** True if requests can cross the mesh now. */
  readonly ready: boolean;
  /** Why it is not ready, in words. */
  readonly reason: string | undefined;
  /** What is open now; all zero when nothing is under way. */
  counts(): Record<string, number>;
  readonly registry: Registry;
  /** The configuration as it was understood; it holds no secret. */
  describe(): unknown;
  /** What it holds of what the control plane publishes, with revisions. */
  publications(): unknown;
  /** What it waits for beside the bus, in words: it serves without. */
  waiting(): string[];
}

export interface AgentParts {
  readonly config: AgentConfig;
  readonly keyring: Keyring;
  /** Of an enrolled agent, whose keyring is that one; it is renewed while the agent runs. */
  readonly membership?: Membership;
  /** Seed of the NKey that the agent has now, by which NATS knows it if there are no credentials. Secret. */
  readonly natsSeed?: () => string;
  readonly log: Logger;
  /** From 0 to 1; for the jitter of retries. */
  readonly random?: () => number;
  /** Where the routes of services come from, if not from the control plane. */
  readonly snapshots?: SnapshotSource;
  /** Of the weft release. */
  readonly release?: string;
}

export function createAgent({
  config,
  keyring,
  membership,
  natsSeed,
  log,
  random = Math.random,
  snapshots,
  release = 'unknown',
}: AgentParts): Agent {
  const now = () => performance.now();
  const metrics = new AgentMetrics();
  const serving = new Set<string>();
  const upstreams = new Map<string, Upstream>();
  for (const { service, upstream } of config.workloads) {
    if (upstream.length > 0) upstreams.set(service, new Upstream(upstream, now));
  }
  // An identity that has ended is no reason not to start: it may be renewed.
  const self = membership?.keyring.self ?? keyring.verify(keyring.document);

  const failed = createFailureLog(log, now);
  const authorization = createAuthorization({
    mesh: config.mesh,
    defaultAction: config.defaultAction,
    log,
    now,
    counted: (side, decision) => metrics.decided(side, decision),
  });
  const inbound = new InboundProxy({
    mesh: config.mesh,
    upstreams,
    snapshotOf: (service) => source.get(service),
    authorization,
    recorder: metrics.recorder('inbound'),
    now,
    failed,
  });
  const serve: Serve = (stream, from, head, last) => {
    ticker.wake();
    const { fault } = keyring;
    if (fault !== undefined) {
      stream.reset('identity_invalid', fault);
      return DEAF;
    }
    return inbound.serve(stream, from, head, last);
  };
  let refusalLoggedMs = Number.NEGATIVE_INFINITY;
  const disk =
    config.data === undefined
      ? undefined
      : createSnapshotDisk(config.data, (error, file) => log.warn({ err: error, file }, 'data file failed'));
  const control = createControlPlane({
    keyring,
    disk,
    served: new Set(upstreams.keys()),
    trustDisk: membership?.trustDisk,
    floor: (kind, service) => membership?.floor(kind, service) ?? NO_REVISION,
    now,
    wallMs: Date.now,
    random,
    refused(kind, reason, details) {
      metrics.publicationRefused(kind, reason);
      // Whoever can publish on the bus could else fill the log.
      const due = now() >= refusalLoggedMs + LIMITS.refusalLogMs;
      if (due) refusalLoggedMs = now();
      log[due ? 'warn' : 'debug']({ kind, reason, details }, 'publication refused');
    },
    fault: (error) => log.error({ err: error }, 'a publication met a fault of the agent'),
  });
  const evidence = createEvidenceLog({
    folder: config.data === undefined ? undefined : join(config.data, 'evidence'),
    log,
    now,
    counted: (result, packets) => metrics.evidence(result, packets),
  });
  const { lists, identify } = control;
  const source = snapshots ?? control.snapshots;
  const balancer = new Balancer(self, serving, now, {
    want: (service) => lists.want(service),
    get: (service) => lists.get(service),
    drop: (service) => lists.drop(service),
    identify,
  });
  const link = new Link({
    keyring,
    wallMs: Date.now,
    now,
    serve,
    events: {
      refused: (reason, details) => {
        metrics.packetRefused(reason);
        log.debug({ reason, details }, 'packet refused');
      },
      fault: (error) => log.error({ err: error }, 'a packet met a fault of the agent'),
      served: (service, endpoint) => balancer.learned(service, endpoint),
      missing: (service, agent) => balancer.forget(service, agent),
      proven: (service, packet) => evidence.append(service, packet.line()),
    },
  });
  /** The key of a service stands in its list. */
  const listed = (service: string) => lists.get(service) !== undefined || lists.known(service);
  const late = createLateStreams({ known: listed, now });
  const open: OpenStream = (service, endpoint, head, last, handler) => {
    ticker.wake();
    const { fault } = keyring;
    if (fault !== undefined) throw new WeftError('identity_invalid', fault);
    if (membership === undefined || endpoint !== undefined || !link.up || listed(service)) {
      return openNow(service, endpoint, head, last, handler);
    }
    lists.want(service);
    return late.open(service, handler, () =>
      openNow(service, balancer.pick(service, true), head, last, handler),
    );
  };
  const openNow: OpenStream = (service, endpoint, head, last, handler) => {
    if (endpoint === self || (!link.up && serving.has(service))) {
      return openLocal(serve, self, head, last, handler);
    }
    if (!link.up) throw new WeftError('bus_down', lifecycle.reason ?? 'the connection to NATS is lost');
    const signed = routes.snapshotOf(service)?.evidence === 'signed';
    return endpoint === undefined
      ? link.openToService(service, head, last, handler, balancer.spread(service), signed)
      : link.openToInstance(service, endpoint, head, last, handler, signed);
  };
  const routes = new RouteBook(source, now);
  lists.watch((service, before) => {
    const list = lists.get(service);
    if (list?.keys !== undefined) membership?.keyring.published(service, list.keys);
    balancer.published(service);
    late.look();
    if (list === undefined) return;
    if (upstreams.has(service)) joinOrLeave(service);
    for (const gone of goneProcesses(before, list, identify)) link.gone(service, gone);
  });

  /**
   * Which requests the agent takes. While NATS is away when it starts: those of its own host, for services whose policy it
   * has kept on disk.
   */
  let accepting: 'nothing' | 'kept' | 'all' = 'nothing';
  const workloads = createWorkloads({
    workloads: config.workloads,
    upstreams,
    probe,
    delay: later,
    random,
    wallMs: Date.now,
    changed(service, state, reason) {
      log.info({ service, state, reason }, 'workload state');
      joinOrLeave(service);
      announcer.changed();
    },
  });
  const announcer = createAnnouncer({
    keyring,
    session: link.session,
    release,
    workloads: () => workloads.reports(),
    applied: control.applied,
    policy: control.policy,
    wallMs: Date.now,
    now,
    delay: later,
    tooLarge: (bytes) => log.error({ bytes }, 'heartbeat is larger than NATS takes; use fewer labels'),
  });
  control.snapshots.watch((service) => {
    announcer.appliedChanged();
    if (upstreams.has(service)) joinOrLeave(service);
  });
  control.trust.watch(() => {
    const list = control.trust.get(TRUST_NAME);
    if (list === undefined || membership === undefined) return;
    const { roots } = membership.keyring;
    membership.trust(list);
    identify.forget();
    // What a new root has signed was not taken before.
    if (roots.join() !== list.roots.join()) control.refresh();
    const isOut = ({ agent, issuedAtMs }: PeerIdentity) => membership.keyring.isCut(agent, issuedAtMs);
    link.expel(isOut);
    balancer.expel(isOut);
    watchIdentity();
  });

  /** Why nothing is called or served now, as it was said last. */
  let fault: string | undefined;
  /** An identity ends by the clock or by a trust list, and holds again once it is renewed. */
  function watchIdentity(): void {
    const ended = keyring.fault;
    if (ended !== fault) {
      fault = ended;
      if (ended === undefined) log.info('the identity of this agent holds again');
      else {
        log.error({ reason: ended }, 'this agent neither calls nor serves');
        link.fail(new WeftError('identity_invalid', ended));
      }
    }
    for (const service of upstreams.keys()) joinOrLeave(service);
  }

  /** Who may call a service stands in its snapshot: as long as there is one that is not here, nobody may. */
  function lacksPolicy(service: string): boolean {
    if (membership === undefined || source.get(service) !== undefined) return false;
    return compareRevisions(membership.floor('snapshot', service), NO_REVISION) > 0;
  }

  /** Only who is ready takes requests; what runs already goes on. */
  function joinOrLeave(service: string): void {
    const may = keyring.fault === undefined && workloads.isReady(service) && !lacksPolicy(service);
    const kept = accepting === 'kept' && source.get(service) !== undefined;
    if (may && (kept || accepting === 'all')) serving.add(service);
    else serving.delete(service);
    if (may && accepting === 'all') link.join(service, keyring.canServe(service));
    else link.leave(service);
  }

  function accept(what: 'kept' | 'all'): void {
    accepting = what;
    for (const service of upstreams.keys()) joinOrLeave(service);
  }

  /** Who may reach a service is known before the first request to it is taken. False if the agent has gone on meanwhile. */
  async function policyIsKnown(during: AgentState): Promise<boolean> {
    while (!control.knows(upstreams.keys())) {
      await wait(LIMITS.tickMs);
      if (lifecycle.state !== during) return false;
    }
    return true;
  }

  const renewal =
    membership === undefined
      ? undefined
      : createRenewal({
          membership,
          served: [...upstreams.keys()],
          services: () => [...upstreams.keys(), ...calledServices()].slice(0, LIMITS.renewalServicesMax),
          replaceBeforeMs: () =>
            control.trust.get(TRUST_NAME)?.renew.find(({ agent }) => agent === config.host)?.beforeMs,
          now,
          wallMs: Date.now,
          random,
          renewed({ trust }, why, skewMs) {
            const expires = new Date(membership.keyring.identity.expiresAtMs).toISOString();
            log.info({ why, expires }, 'identity renewed');
            if (Math.abs(skewMs) > LIMITS.skewToldMs) log.warn(skewText(skewMs));
            if (trust !== '') control.trust.offer(TRUST_NAME, trust);
            control.refresh();
            link.introduce();
            announcer.changed();
            watchIdentity();
          },
          failed(error, why, retryMs) {
            const reason = error instanceof Error ? error.message : String(error);
            log.warn({ why, reason, retryMs }, 'identity not renewed; it is tried again');
          },
        });

  /** Of which snapshots are followed because they are called here. */
  function calledServices(): string[] {
    const called = [...control.snapshots.all()].map(([service]) => service);
    return called.filter((service) => isServiceName(service) && !upstreams.has(service));
  }

  const outbound = {
    agent: config.host,
    open,
    balancer,
    routes,
    authorization,
    wake: () => ticker.wake(),
    budget: new RetryBudget(now),
    tracer: new Tracer(),
    recorder: metrics.recorder('outbound'),
    now,
    wallMs: Date.now,
    random,
    failed,
  };
  const doors: Door[] = [];
  const owners = createSocketOwners(now);
  for (const { service, listen, uid } of config.workloads) {
    const guard = uid === undefined ? undefined : { users: uid, owners };
    if (listen !== undefined) doors.push(new Door(outbound, { caller: service, address: listen, guard }));
  }
  if (config.listen !== undefined) {
    doors.push(new Door(outbound, { caller: undefined, address: config.listen }));
  }

  const ticker = new Ticker(LIMITS.tickMs, now, (nowMs) => {
    link.tick(nowMs);
    inbound.tick(nowMs);
    late.look();
    for (const door of doors) door.proxy.tick(nowMs);
    return busy();
  });
  const sweeper = new Ticker(LIMITS.sweepMs, now, (nowMs) => {
    for (const door of doors) door.expire(nowMs);
    routes.expire(nowMs);
    balancer.expire(nowMs);
    control.tick(nowMs);
    if (membership !== undefined) watchIdentity();
    renewal?.tick();
    announcer.beat();
    for (const upstream of upstreams.values()) upstream.expire(nowMs);
    return true;
  });

  /** Services whose requests are refused because nobody has said yet who may call them, in words. */
  function unknownPolicies(): string[] {
    if (config.defaultAction === 'allow') return [];
    const unknown = [...upstreams.keys()].filter((service) => source.get(service) === undefined);
    return unknown.map((service) => `${service}: no signed snapshot is held, so nobody is let in`);
  }

  function counts(): Record<string, number> {
    const { opened, served } = link.counts();
    let outboundRequests = 0;
    let mirrorCopies = 0;
    let downstreamConnections = 0;
    let upstreamConnections = 0;
    for (const door of doors) {
      outboundRequests += door.proxy.active.size;
      mirrorCopies += door.proxy.mirrors.size;
      downstreamConnections += door.connections;
    }
    for (const { pools } of upstreams.values()) {
      for (const pool of pools) upstreamConnections += pool.connections;
    }
    return {
      outboundRequests,
      mirrorCopies,
      inboundRequests: inbound.active.size,
      streamsOpened: opened,
      streamsServed: served,
      downstreamConnections,
      upstreamConnections,
    };
  }

  /** What keeps workloads that are ready from being served, in words. */
  function unserved(): string[] {
    const said: string[] = [];
    for (const service of upstreams.keys()) {
      if (!self.workloads.has(service)) {
        said.push(`${service}: the identity of ${config.host} does not name it; ${tokenAdvice(config)}`);
      } else if (lacksPolicy(service)) said.push(`${service}: its published snapshot is not here yet`);
      else if (!keyring.canServe(service)) said.push(`${service}: its present key is not here yet`);
    }
    return said;
  }

  function serves(): boolean {
    return inbound.active.size + link.counts().served > 0;
  }

  function busy(): boolean {
    const { outboundRequests, mirrorCopies, inboundRequests, streamsOpened, streamsServed } = counts();
    const live = [outboundRequests, mirrorCopies, inboundRequests, streamsOpened, streamsServed];
    return live.some((count) => (count ?? 0) > 0);
  }

  for (const name of Object.keys(counts())) {
    const unit = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    metrics.number(`weft_${unit}`, 'What is open now', () => counts()[name] ?? 0);
  }
  metrics.number('weft_peers', 'Agent processes that packets have come from', () => link.counts().peers);
  metrics.number(
    'weft_identity_expiry_timestamp_seconds',
    'When the identity of this agent ends, in Unix time',
    () => self.expiresAtMs / 1000,
  );
  metrics.number('weft_bus_up', '1 while connected to NATS', () => (link.up ? 1 : 0));

  metrics.gauge('weft_publications_held', 'What is held of what the control plane publishes', 'kind', () => [
    ['snapshot', control.snapshots.heldCount],
    ['endpoints', lists.heldCount],
  ]);
  metrics.gauge('weft_snapshot_revision', 'Number of the snapshot that is applied', 'service', () =>
    Object.entries(control.snapshots.held())
      .slice(0, LIMITS.servicesInMetricsMax)
      .map(([service, [, number]]) => [service, number]),
  );
  metrics.gauge('weft_workload_healthy', '1 while the workload is ready', 'service', () =>
    workloads.reports().map(({ service, state }) => [service, state === 'ready' ? 1 : 0]),
  );

  function dial(): Promise<Bus> {
    const { servers, creds } = config.nats;
    return connectBus(
      {
        servers: [...servers],
        name: `weft ${config.mesh} ${config.host}`,
        ...(creds === undefined ? {} : { authenticator: credsAuthenticator(() => readFileSync(creds)) }),
        ...(creds !== undefined || natsSeed === undefined
          ? {}
          : natsUser(natsSeed, agentInbox(config.mesh, config.host))),
      },
      {
        lost() {
          log.warn('connection to NATS lost');
          link.lost();
        },
        back() {
          log.info('connection to NATS is back');
          control.refresh();
          announcer.appliedChanged();
        },
      },
    );
  }

  const served = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  const lifecycle = createLifecycle({
    async connect() {
      try {
        return await dial();
      } catch (error) {
        // What needs no bus does not wait for it.
        if (accepting === 'nothing' && (await policyIsKnown('connecting'))) accept('kept');
        throw error;
      }
    },
    async sync(bus: Bus) {
      // An attempt that failed has left its subscriptions.
      link.detach();
      link.attach(bus);
      control.attach(bus);
      renewal?.attach(bus);
      if (!(await policyIsKnown('syncing'))) return;
      accept('all');
      await bus.flush();
      announcer.attach(bus);
    },
    async drain() {
      accepting = 'nothing';
      workloads.drain();
      const untilMs = now() + config.drainMs;
      // What the bus has sent before it knew that we leave is still served.
      if (link.up) await Promise.race([link.flush(), wait(LIMITS.busCloseMs)]);
      // The doors stay open until then: what is still served here may have to call others.
      while (serves() && now() < untilMs) await wait(LIMITS.tickMs);
      for (const door of doors) door.drain();
      while (busy() && now() < untilMs) await wait(LIMITS.tickMs);
    },
    stop(bus) {
      ticker.stop();
      sweeper.stop();
      for (const door of doors) door.stop();
      workloads.stop();
      announcer.leave();
      renewal?.detach();
      control.detach();
      link.detach();
      for (const upstream of upstreams.values()) upstream.close();
      const ended = [bus?.close(), disk?.settled(), membership?.trustDisk.settled(), evidence.settled()];
      Promise.allSettled(ended).then(() => stopped.resolve());
    },
    redialMs: () => LIMITS.redialMs * (1 + random()),
    changed(state, reason) {
      log.info({ state, ...(reason === undefined ? {} : { reason }) }, 'agent state');
      if (state === 'serving') served.resolve();
    },
  });

  return Object.freeze({
    async start() {
      try {
        for (const door of doors) await door.listen();
      } catch (error) {
        for (const door of doors) door.stop();
        throw error;
      }
      watchIdentity();
      sweeper.wake();
      workloads.start();
      lifecycle.start();
      await served.promise;
    },
    async drain() {
      lifecycle.drain();
      await stopped.promise;
    },
    async stop() {
      lifecycle.stop();
      await stopped.promise;
    },
    get state() {
      return lifecycle.state;
    },
    get ready() {
      return lifecycle.state === 'serving' && link.up && keyring.fault === undefined;
    },
    get reason() {
      if (keyring.fault !== undefined) return keyring.fault;
      if (lifecycle.reason !== undefined) return lifecycle.reason;
      return lifecycle.state === 'serving' && !link.up ? 'the connection to NATS is lost' : undefined;
    },
    counts,
    registry: metrics.registry,
    describe: () => config,
    publications: () => control.describe(),
    waiting: () => [...workloads.waiting(), ...control.waiting(), ...unknownPolicies(), ...unserved()],
  });
}

/** Calls `then` once, later. Returns what calls it off. */
function later(ms: number, then: () => void): () => void {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
}
