/**
 * Two agents and a real bus between them, for tests of routes. Each test publishes routes of a service of its own, as
 * the controller makes them of what people write.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionContext } from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import { ask, MESH, startApplication, startMesh, type TestAgent, type TestMesh } from '../kit/mesh.ts';
import { startPublisher } from '../kit/publisher.ts';

/** What an application does with a request for `service`. */
export type Reply = (request: IncomingMessage, response: ServerResponse, service: string) => void;

export type Rules = readonly object[] | string;

export interface Route {
  /** Of its spec, as objects or as YAML; it has none if absent. */
  readonly rules?: Rules | undefined;
  /** `default` if absent. */
  readonly namespace?: string;
  readonly name?: string;
  readonly creationTimestamp?: string;
  /** Of its spec. */
  readonly hostnames?: readonly string[];
  /** More of its one parentRef. */
  readonly parent?: object;
}

export interface RoutedMesh {
  readonly mesh: TestMesh;
  /** Calls as `checkout.default`. */
  readonly front: TestAgent;
  /** Calls as `checkout.shop`. */
  readonly shopFront: TestAgent;
  /** `GET /path` of every request that the application of a service has got since `reset`. */
  readonly seen: Readonly<Record<string, readonly string[]>>;
  /** What applications do from now on until `reset`. */
  reply(then: Reply): void;
  reset(): void;
  /** Publishes the routes; gives the name of the service that they are attached to. */
  routed(t: ExecutionContext, ...routes: (Route | Rules)[]): Promise<string>;
  /** Publishes the routes of a service that has a name already. `others`: resources that stand beside them. */
  publish(
    t: ExecutionContext,
    service: string,
    routes: readonly Route[],
    others?: readonly object[],
  ): Promise<void>;
  stop(): Promise<void>;
}

/** Says in the response who it is, in `x-app` and, with what it was asked, in its body. */
export const plainly: Reply = ({ method, url, headers }, response, service) => {
  response.setHeader('x-app', service).end(JSON.stringify({ service, method, url, headers }));
};

/** Services with an application. `dead` is served by an agent whose application is not there, `nobody` by none. */
const SERVED = ['v1', 'v2'] as const;
const KNOWN = new Set(['v1.default', 'v2.default', 'dead.default', 'nobody.default']);

export async function startRoutedMesh(): Promise<RoutedMesh> {
  const mesh = await startMesh();
  const stops: (() => void)[] = [];
  const seen: Record<string, string[]> = {};
  const applications: { service: string; ports: number[] }[] = [];
  let reply = plainly;
  for (const service of SERVED) {
    seen[service] = [];
    const application = await startApplication((request, response) => {
      seen[service]!.push(`${request.method} ${request.url}`);
      reply(request, response, service);
    });
    stops.push(application.stop);
    applications.push({ service: `${service}.default`, ports: [application.port] });
  }
  await mesh.add('back', [...applications, { service: 'dead.default', ports: [1] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  const shopFront = await mesh.add('shop-front', [{ service: 'checkout.shop', calls: true }]);
  let services = 0;
  let revisions = 0;

  const publish: RoutedMesh['publish'] = async (t, service, routes, others = []) => {
    const texts = [
      ...routes.map((route, at) => textOf(service, route, at)),
      ...others.map((one) => JSON.stringify(one)),
    ];
    const { resources, faults } = readResources(texts.join('\n---\n'), 'test.yaml');
    t.deepEqual(faults, []);
    revisions += 1;
    const index = createCompileIndex(resources.map(({ resource }) => resource));
    const snapshot = compileService(service, index, KNOWN, { mesh: MESH, epoch: 1, revision: revisions });
    const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
    await publisher.publish('snapshot', snapshot as Parameters<typeof publisher.publish>[1]);
  };

  return Object.freeze({
    mesh,
    front,
    shopFront,
    seen,
    reply(then: Reply) {
      reply = then;
    },
    reset() {
      reply = plainly;
      for (const list of Object.values(seen)) list.length = 0;
    },
    publish,
    async routed(t: ExecutionContext, ...routes: (Route | Rules)[]) {
      services += 1;
      const service = `parent-${services}.default`;
      await publish(
        t,
        service,
        routes.map((route) => (isRules(route) ? { rules: route } : route)),
      );
      return service;
    },
    async stop() {
      for (const stop of stops) stop();
      await mesh.stop();
    },
  });
}

function isRules(route: Route | Rules): route is Rules {
  return typeof route === 'string' || Array.isArray(route);
}

function textOf(service: string, route: Route, at: number): string {
  const { rules, namespace = 'default', name = `route-${at}`, creationTimestamp, hostnames, parent } = route;
  const [parentName, parentNamespace] = service.split('.');
  const parentRef = { group: '', kind: 'Service', name: parentName, namespace: parentNamespace, ...parent };
  return [
    'apiVersion: gateway.networking.k8s.io/v1',
    'kind: HTTPRoute',
    `metadata: ${JSON.stringify({ name, namespace, creationTimestamp: creationTimestamp ?? null })}`,
    'spec:',
    `  parentRefs: [${JSON.stringify(parentRef)}]`,
    ...(hostnames === undefined ? [] : [`  hostnames: ${JSON.stringify(hostnames)}`]),
    ...(rules === undefined ? [] : [`  rules: ${typeof rules === 'string' ? rules : JSON.stringify(rules)}`]),
  ].join('\n');
}

export const to = (name: string, more: object = {}) => ({ name, namespace: 'default', port: 80, ...more });

/** A rule whose responses say its name in `x-rule`. */
export function named(name: string, rule: object, backend = 'v1'): object {
  const mark = {
    type: 'ResponseHeaderModifier',
    responseHeaderModifier: { set: [{ name: 'x-rule', value: name }] },
  };
  return { filters: [mark], backendRefs: [to(backend)], ...rule };
}

/** Which rule has served a request: its name, or the code of the refusal. */
export async function servedBy(door: number, service: string, request: string, headers: object = {}) {
  const [method, path] = request.split(' ');
  const response = await ask(door, service, path, { method: method!, headers: { ...headers } });
  return response.headers['x-rule'] ?? jsonOf(response).code;
}

export const jsonOf = ({ body }: { body: Buffer }) => JSON.parse(body.toString());
