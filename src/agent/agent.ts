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
import type { Keyring } from '../protocol/keyring.ts';
import { LIMITS } from '../protocol/limits.ts';
import { natsUser } from '../protocol/nats-user.ts';
import { NO_REVISION } from '../protocol/revision.ts';
import { agentInbox } from '../protocol/subjects.ts';
import { Tracer } from '../protocol/trace.ts';
import { TRUST_NAME } from '../protocol/trust-list.ts';
import { createAdmission } from './admission.ts';
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
import { Link, type Serve } from './link/link.ts';
import { DEAF } from './link/stream.ts';
import { AgentMetrics } from './metrics.ts';
import { addGauges, createOpenWork } from './open-work.ts';
import { Balancer } from './outbound/balancer.ts';
import { Door } from './outbound/door.ts';
import { RetryBudget } from './outbound/retry.ts';
import { RouteBook } from './outbound/route-book.ts';
import { createSocketOwners } from './outbound/socket-owner.ts';
import { createStreamOpener } from './stream-opener.ts';
import { Ticker } from './ticker.ts';
import { createIdentityWatch } from './trust/identity-watch.ts';
import type { Membership } from './trust/membership.ts';

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
  release = 'unknown',
}: AgentParts): Agent {
  const now = () => performance.now();
  const metrics = new AgentMetrics();
  const serving = new Set<string>();
  const upstreams = new Map<string, Upstream>();
  for (const { service, upstream } of config.workloads) {
    if (upstream.length > 0) upstreams.set(service, new Upstream(upstream, now));
  }
  const services = [...upstreams.keys()];
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
  const source = control.snapshots;
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
  const opener = createStreamOpener({
    self,
    keyring,
    enrolled: membership !== undefined,
    link,
    lists,
    balancer,
    serving,
    serve,
    signs: (service) => routes.snapshotOf(service)?.evidence === 'signed',
    whyDown: () => lifecycle.reason,
    wake: () => ticker.wake(),
    now,
  });
  const routes = new RouteBook(source, now);
  lists.watch((service, before) => {
    const list = lists.get(service);
    if (list?.keys !== undefined) membership?.keyring.published(service, list.keys);
    balancer.published(service);
    opener.look();
    if (list === undefined) return;
    if (upstreams.has(service)) admission.look(service);
    for (const gone of goneProcesses(before, list, identify)) link.gone(service, gone);
  });

  const workloads = createWorkloads({
    workloads: config.workloads,
    upstreams,
    probe,
    delay: later,
    random,
    wallMs: Date.now,
    changed(service, state, reason) {
      log.info({ service, state, reason }, 'workload state');
      admission.look(service);
      announcer.changed();
    },
  });
  const admission = createAdmission({
    config,
    self,
    keyring,
    membership,
    source,
    services,
    isReady: (service) => workloads.isReady(service),
    serving,
    join: (service, shared) => link.join(service, shared),
    leave: (service) => link.leave(service),
  });
  const announcer = createAnnouncer({
    keyring,
    session: link.session,
    release,
    workloads: () => workloads.reports(),
    applied: control.applied,
    heads: control.heads,
    trust: () => control.trust.get(TRUST_NAME)?.revision,
    wallMs: Date.now,
    now,
    delay: later,
    tooLarge: (bytes) => log.error({ bytes }, 'heartbeat is larger than NATS takes; use fewer labels'),
  });
  control.snapshots.watch((service) => {
    announcer.appliedChanged();
    if (upstreams.has(service)) admission.look(service);
  });
  const identity = createIdentityWatch({
    config,
    keyring,
    membership,
    control,
    link,
    services,
    log,
    now,
    random,
    expelled: (isOut) => balancer.expel(isOut),
    admit: () => admission.lookAll(),
    tell: () => announcer.changed(),
  });

  /** Who may reach a service is known before the first request to it is taken. False if the agent has gone on meanwhile. */
  async function policyIsKnown(during: AgentState): Promise<boolean> {
    while (!control.knows(services)) {
      await wait(LIMITS.tickMs);
      if (lifecycle.state !== during) return false;
    }
    return true;
  }

  const outbound = {
    agent: config.host,
    open: opener.open,
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
    opener.look();
    for (const door of doors) door.proxy.tick(nowMs);
    return work.busy();
  });
  const sweeper = new Ticker(LIMITS.sweepMs, now, (nowMs) => {
    for (const door of doors) door.expire(nowMs);
    routes.expire(nowMs);
    balancer.expire(nowMs);
    control.tick(nowMs);
    identity.tick();
    announcer.beat();
    for (const upstream of upstreams.values()) upstream.expire(nowMs);
    return true;
  });

  const work = createOpenWork({ doors, inbound, link, upstreams });
  addGauges({ metrics, work, link, control, workloads, identityExpiresMs: () => self.expiresAtMs });

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
        if (admission.accepting === 'nothing' && (await policyIsKnown('connecting')))
          admission.accept('kept');
        throw error;
      }
    },
    async sync(bus: Bus) {
      // An attempt that failed has left its subscriptions.
      link.detach();
      link.attach(bus);
      control.attach(bus);
      identity.attach(bus);
      if (!(await policyIsKnown('syncing'))) return;
      admission.accept('all');
      await bus.flush();
      announcer.attach(bus);
    },
    async drain() {
      admission.close();
      workloads.drain();
      const untilMs = now() + config.drainMs;
      // What the bus has sent before it knew that we leave is still served.
      if (link.up) await Promise.race([link.flush(), wait(LIMITS.busCloseMs)]);
      // The doors stay open until then: what is still served here may have to call others.
      while (work.serves() && now() < untilMs) await wait(LIMITS.tickMs);
      for (const door of doors) door.drain();
      while (work.busy() && now() < untilMs) await wait(LIMITS.tickMs);
    },
    stop(bus) {
      ticker.stop();
      sweeper.stop();
      for (const door of doors) door.stop();
      workloads.stop();
      announcer.leave();
      identity.detach();
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
      identity.look();
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
    counts: work.counts,
    registry: metrics.registry,
    describe: () => config,
    publications: () => control.describe(),
    waiting: () => [...workloads.waiting(), ...control.waiting(), ...admission.waiting()],
  });
}

/** Calls `then` once, later. Returns what calls it off. */
function later(ms: number, then: () => void): () => void {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
}
