/**
 * A mesh to be attacked: a real controller, and enrolled agents on three hosts. `web` calls; `app-1` and `app-2` serve
 * orders, `app-2` serves stock too. The applications keep what they were asked, and requests carry secrets.
 */
import { hash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Controller } from '../../src/controller/controller.ts';
import type { Timing } from '../../src/controller/limits.ts';
import { joinTokenText } from '../../src/protocol/enrolment.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { serviceSecret } from '../../src/protocol/service-key.ts';
import { type ControlPlane, MESH, startControlPlane } from '../controller/control-plane.ts';
import { invite } from '../controller/host.ts';
import { type EnrolledAgent, enrolledAgent } from '../kit/enrolled-agent.ts';
import { ask, startApplication, type TestWorkload, until } from '../kit/mesh.ts';
import { type Secret, secretBytes, secretSeed, secretText } from '../kit/secrets.ts';
import { tempFolder } from '../kit/temp-folder.ts';

export const ORDERS = 'orders.default';
export const STOCK = 'stock.default';
export const CHECKOUT = 'checkout.default';
/** Stands in every path and body that is asked. */
export const SECRET = 'canary-7f3a91';

/** Controllers that take over from one another without a wait; nobody else competes for the lease. */
const TIMING: Partial<Timing> = { leaseMs: 1_500, leaseTrustMs: 1_200, agentLeaseMs: 1_000 };

/** What an application was asked. */
export interface Asked {
  readonly application: string;
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly digest: string;
}

/** What a caller got. */
export interface Answer {
  readonly id: string;
  readonly status: number;
  /** The application that answered, or the code of the failure. */
  readonly by: string;
}

const HOSTS: Readonly<Record<string, readonly string[]>> = {
  web: [CHECKOUT],
  'app-1': [ORDERS],
  'app-2': [ORDERS, STOCK],
};

const digestOf = (bytes: Buffer) => hash('sha256', bytes, 'hex');

export type AttackedMesh = Awaited<ReturnType<typeof startAttackedMesh>>;

/** Enrols all hosts; `web` runs when it resolves, and whoever else the caller starts. */
export async function startAttackedMesh(t: ExecutionContext) {
  const plane = await startControlPlane(t);
  const asked: Asked[] = [];
  /** Of every request that was sent: the digest of its body. */
  const sent = new Map<string, { readonly method: string; readonly digest: string }>();
  const ports = new Map<string, number>();
  for (const application of ['app-1', 'app-2', 'stock']) {
    const { port, stop } = await startApplication(async (incoming, response) => {
      const body = Buffer.concat(await incoming.toArray());
      const id = String(incoming.headers['x-id']);
      const path = incoming.url ?? '';
      asked.push({ application, id, method: incoming.method ?? '', path, digest: digestOf(body) });
      response.end(`${application} ${SECRET}`);
    });
    t.teardown(stop);
    ports.set(application, port);
  }
  const workloadsOf = (host: string): TestWorkload[] =>
    (HOSTS[host] ?? []).map((service) => {
      if (service === CHECKOUT) return { service, calls: true };
      return { service, ports: [ports.get(service === STOCK ? 'stock' : host) ?? 0] };
    });

  const lead = async () => {
    const { controller } = await plane.add(TIMING);
    await until(() => controller.leading, 'it leads');
    return controller;
  };
  let controller: Controller = await lead();
  const data = await tempFolder(t);
  const root = readRoot(plane.seed).publicKey;
  const agents = new Map<string, EnrolledAgent>();
  const make = async (host: string, token?: string) => {
    const agent = await enrolledAgent(t, plane.nats.url, join(data, host), host, workloadsOf(host), token);
    agents.set(host, agent);
    return agent;
  };
  for (const [host, services] of Object.entries(HOSTS)) {
    const { id, secret } = await invite(plane, host, services);
    await make(host, joinTokenText({ mesh: MESH, host, root, id, secret, nats: [plane.nats.url] }));
  }
  const agentOf = (host: string) => agents.get(host) as EnrolledAgent;
  const web = agentOf('web');
  await web.start();

  /** One request through the door of `web`. */
  async function call(service: string, method: string, bodyBytes = 0, path = 'orders'): Promise<Answer> {
    const id = randomUUID();
    const body = Buffer.alloc(bodyBytes, `${SECRET} ${id} `);
    sent.set(id, { method, digest: digestOf(body) });
    const target = `/${path}/${SECRET}`;
    const { status, body: text } = await ask(
      web.door,
      service,
      target,
      { method, headers: { 'x-id': id } },
      body,
    );
    const by = status === 200 ? text.toString().split(' ')[0] : JSON.parse(text.toString()).code;
    return { id, status, by };
  }

  return {
    plane,
    web,
    agentOf,
    asked,
    call,
    controller: () => controller,
    /** The controller is away from now on. */
    stopController: () => controller.stop(),
    async startController() {
      controller = await lead();
    },
    startAgent: (host: string) => agentOf(host).start(),
    /** Another process of that agent, with what is on its disk. */
    async restart(host: string) {
      await agentOf(host).agent.stop();
      const agent = await make(host);
      await agent.start();
      return agent;
    },
    /** True if these hosts, with their present processes, are all whom `web` knows as ready, for all that they serve. */
    async isListed(...hosts: readonly string[]) {
      const { endpoints: held } = web.agent.publications() as { endpoints: Record<string, Revision> };
      for (const service of [ORDERS, STOCK]) {
        const list = await plane.endpoints(service);
        if (list === undefined || held[service]?.join() !== list.revision.join()) return false;
        const serving = hosts.filter((host) => HOSTS[host]?.includes(service));
        const documents = serving.map((host) => agentOf(host).membership.keyring.document);
        const ready = list.endpoints.filter(({ state }) => state === 'ready');
        if (
          ready
            .map(({ document }) => document)
            .sort()
            .join() !== documents.sort().join()
        )
          return false;
      }
      return true;
    },
    /** Everything the agents and their applications may not have done, whatever was sent to them. */
    checkHarm() {
      const seen = new Map<string, Asked[]>();
      for (const one of asked) seen.set(one.id, [...(seen.get(one.id) ?? []), one]);
      for (const [id, all] of seen) {
        const { method, digest } = sent.get(id) ?? {};
        const at = all.map(({ application }) => application);
        t.deepEqual(at, [...new Set(at)], `${method} ${id} reached an application twice`);
        t.true(method !== 'POST' || all.length === 1, `${id} reached ${at}`);
        t.true(
          all.every((one) => one.digest === digest && one.method === method),
          `${id} is not what was sent`,
        );
      }
    },
    /** What nobody may see who only sees the bus. */
    secrets(): readonly Secret[] {
      const own = [...agents].flatMap(([host, { membership }]) => {
        const { seed, boxSecret } = membership.keyring.keys;
        return [secretSeed(`seed of ${host}`, seed), secretBytes(`box key of ${host}`, boxSecret)];
      });
      const served = [ORDERS, STOCK].map((service) => {
        const { epoch } = web.membership.keyring.serviceKey(service) ?? { epoch: 0 };
        return secretBytes(`key of ${service}`, serviceSecret(readRoot(plane.seed), MESH, service, epoch));
      });
      return [secretSeed('root', plane.seed), ...own, ...served, secretText('what is asked', SECRET)];
    },
    /** What an agent has refused of the bus, by reason. */
    async refusals(host: string): Promise<Record<string, number>> {
      const metric = await agentOf(host).agent.registry.getSingleMetric('weft_packets_refused_total')?.get();
      return Object.fromEntries(metric?.values.map(({ labels, value }) => [labels.reason, value]) ?? []);
    },
  };
}

export async function apply(plane: ControlPlane, ...resources: readonly object[]): Promise<void> {
  await plane.done('apply', { resources: [...resources] });
}

/** The checkout may ask `service` below /orders, and nothing else but `paths`. */
export function onlyOrders(service: string, ...paths: readonly string[]): object {
  return {
    apiVersion: 'weft.dev/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: service },
    spec: {
      targetRef: { kind: 'Service', name: service },
      action: 'ALLOW',
      rules: [{ from: [{ services: ['checkout'] }], to: [{ paths: ['/orders/*', ...paths] }] }],
    },
  };
}

/** A service that is known before anybody serves it. */
export function declared(service: string): object {
  return { apiVersion: 'weft.dev/v1', kind: 'Service', metadata: { name: service }, spec: {} };
}

/** What has failed on its way to an instance of `service` and is safe to repeat is tried at others. */
export function retried(service: string): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: service },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: service }],
      rules: [{ backendRefs: [{ name: service, port: 80 }], retry: { attempts: 5 } }],
    },
  };
}
