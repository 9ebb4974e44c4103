import type { IncomingMessage, ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import {
  ask,
  MESH,
  quiet,
  startApplication,
  startMesh,
  type TestAgent,
  type TestMesh,
  until,
} from '../kit/mesh.ts';
import { startPublisher } from '../kit/publisher.ts';

/** Two agents and a real bus between them; each test publishes routes of a service of its own. */
let mesh: TestMesh;
let front: TestAgent;
let shopFront: TestAgent;
const stops: (() => void)[] = [];
/** What an application does with its next requests, and what it has seen. */
const seen: Record<string, string[]> = { v1: [], v2: [] };
let answer: (request: IncomingMessage, response: ServerResponse, service: string) => void;
const plainly: typeof answer = (request, response, service) => {
  const { method, url, headers } = request;
  response.setHeader('x-app', service).end(JSON.stringify({ service, method, url, headers }));
};

test.before(async () => {
  mesh = await startMesh();
  const applications: { service: string; ports: number[] }[] = [];
  for (const service of ['v1', 'v2']) {
    const application = await startApplication((request, response) => {
      seen[service]!.push(`${request.method} ${request.url}`);
      answer(request, response, service);
    });
    stops.push(application.stop);
    applications.push({ service: `${service}.default`, ports: [application.port] });
  }
  await mesh.add('back', [...applications, { service: 'dead.default', ports: [1] }]);
  front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  shopFront = await mesh.add('shop-front', [{ service: 'checkout.shop', calls: true }]);
});
test.after.always(async () => {
  for (const stop of stops) stop();
  await mesh.stop();
});
test.beforeEach(() => {
  answer = plainly;
  for (const list of Object.values(seen)) list.length = 0;
});

const KNOWN = new Set(['v1.default', 'v2.default', 'dead.default', 'nobody.default']);
let services = 0;
let revisions = 0;

/** Publishes routes (YAML of their specs' rules, of a namespace each) of a new service; gives its name. */
async function routed(
  t: ExecutionContext,
  ...routes: [rules: string, namespace?: string][]
): Promise<string> {
  services += 1;
  const name = `parent-${services}`;
  const text = routes.map(([rules, namespace = 'default'], at) =>
    [
      'apiVersion: gateway.networking.k8s.io/v1',
      'kind: HTTPRoute',
      `metadata: { name: route-${at}, namespace: ${namespace} }`,
      'spec:',
      `  parentRefs: [{ group: "", kind: Service, name: ${name}, namespace: default }]`,
      `  rules: ${rules}`,
    ].join('\n'),
  );
  const { resources, faults } = readResources(text.join('\n---\n'), 'test.yaml');
  t.deepEqual(faults, []);
  revisions += 1;
  const index = createCompileIndex(resources.map(({ resource }) => resource));
  const service = `${name}.default`;
  const snapshot = compileService(service, index, KNOWN, { mesh: MESH, epoch: 1, revision: revisions });
  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
  await publisher.publish('snapshot', snapshot as Parameters<typeof publisher.publish>[1]);
  return service;
}

const body = (response: { body: Buffer }) => JSON.parse(response.body.toString());
const V1 = 'backendRefs: [{ name: v1, namespace: default, port: 80 }]';
const V2 = 'backendRefs: [{ name: v2, namespace: default, port: 80 }]';

test.serial('A2: the most specific match decides, and what matches nothing is 404 no_route', async (t) => {
  const service = await routed(t, [
    `[{ matches: [{ path: { value: /a } }], ${V1} }, { matches: [{ path: { value: /a/b } }, { path: { type: Exact, value: /x }, method: POST }], ${V2} }]`,
  ]);
  const at = async (path: string, method = 'GET') =>
    (await ask(front.door, service, path, { method })).headers['x-app'];
  t.is(await at('/a'), 'v1');
  t.is(await at('/a/b/c'), 'v2');
  t.is(await at('/a/bc'), 'v1');
  t.is(await at('/x', 'POST'), 'v2');
  const missed = await ask(front.door, service, '/x');
  t.deepEqual([missed.status, body(missed).code], [404, 'no_route']);
});

test.serial('A3: headers and query parameters are matched', async (t) => {
  const service = await routed(t, [
    `[{ matches: [{ headers: [{ name: X-Tester, value: "yes" }] }, { queryParams: [{ name: v, value: "2" }] }], ${V2} }, { ${V1} }]`,
  ]);
  t.is((await ask(front.door, service, '/', { headers: { 'x-tester': 'yes' } })).headers['x-app'], 'v2');
  t.is((await ask(front.door, service, '/?v=2')).headers['x-app'], 'v2');
  t.is((await ask(front.door, service, '/?V=2')).headers['x-app'], 'v1');
});

test.serial('A4: filters change the request, its path and host, and the response', async (t) => {
  const service = await routed(t, [
    `[{ matches: [{ path: { value: /old } }], filters: [
      { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-set, value: new }], add: [{ name: x-add, value: more }], remove: [x-gone] } },
      { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-app, value: hidden }] } },
      { type: URLRewrite, urlRewrite: { hostname: elsewhere.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } } ], ${V1} }]`,
  ]);
  const headers = { 'x-set': 'old', 'x-add': 'some', 'x-gone': '1' };
  const response = await ask(front.door, service, '/old/x?q=1', { headers });
  const { url, headers: got } = body(response);
  t.is(url, '/new/x?q=1');
  t.is(got.host, 'elsewhere.example');
  t.deepEqual([got['x-set'], got['x-gone']], ['new', undefined]);
  t.regex(got['x-add'], /^some, ?more$/);
  t.is(response.headers['x-app'], 'hidden');
});

test.serial('A4: a redirect and a preflight are answered without a backend', async (t) => {
  const service = await routed(t, [
    `[{ matches: [{ path: { value: /go } }], filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, hostname: away.example, statusCode: 301 } }] },
      { filters: [{ type: CORS, cors: { allowOrigins: ["http://*.example.com"], allowMethods: [PUT], allowCredentials: true } }], ${V1} }]`,
  ]);
  const gone = await ask(front.door, service, '/go/x?q=1');
  t.deepEqual([gone.status, gone.headers.location], [301, 'https://away.example/go/x?q=1']);
  const origin = 'http://shop.example.com';
  const preflight = await ask(front.door, service, '/', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'PUT' },
  });
  t.true([200, 204].includes(preflight.status));
  t.is(preflight.headers['access-control-allow-origin'], origin);
  t.deepEqual([seen.v1, seen.v2], [[], []]);
  const actual = await ask(front.door, service, '/', { headers: { origin } });
  t.deepEqual([actual.status, actual.headers['access-control-allow-origin']], [200, origin]);
});

test.serial('A4: a mirror gets the same path and query, and its answer is nobody’s', async (t) => {
  const service = await routed(t, [
    `[{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: v2, namespace: default, port: 80 } } }], ${V1} }]`,
  ]);
  const response = await ask(front.door, service, '/m?x=1', { method: 'POST' }, 'body');
  t.is(response.headers['x-app'], 'v1');
  await until(() => seen.v2?.includes('POST /m?x=1'), 'the mirror has its copy');
  await until(() => quiet(front.agent), 'the copy is over');
});

test.serial(
  'A5: weights share the requests, a filter of a backend runs for its share, an invalid one is 500',
  async (t) => {
    const service = await routed(t, [
      `[{ backendRefs: [{ name: v1, namespace: default, port: 80, weight: 0 },
        { name: v2, namespace: default, port: 80, weight: 1, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-only, value: v2 }] } }] },
        { name: missing, namespace: default, port: 80, weight: 1 }] }]`,
    ]);
    const statuses = new Map<number, number>();
    for (let count = 0; count < 100; count++) {
      const response = await ask(front.door, service);
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      if (response.status === 200) t.is(body(response).headers['x-only'], 'v2');
      else t.is(body(response).code, 'invalid_backend');
    }
    t.deepEqual([...statuses.keys()].sort(), [200, 500]);
    t.true((statuses.get(500) ?? 0) > 20);
    t.deepEqual(seen.v1, []);
  },
);

test.serial('A5: a service without an endpoint is 503', async (t) => {
  const service = await routed(t, ['[{ backendRefs: [{ name: nobody, namespace: default, port: 80 }] }]']);
  const response = await ask(front.door, service);
  t.deepEqual([response.status, body(response).code], [503, 'no_endpoint']);
});

test.serial('A6: a request over its time, or a try over its own, is 504', async (t) => {
  answer = () => {};
  for (const timeouts of ['request: 60ms', 'backendRequest: 60ms', 'request: 0s, backendRequest: 60ms']) {
    const service = await routed(t, [`[{ timeouts: { ${timeouts} }, ${V1} }]`]);
    const response = await ask(front.door, service);
    t.deepEqual([response.status, body(response).code], [504, 'deadline'], timeouts);
  }
  await until(() => quiet(front.agent), 'nothing is left');
});

test.serial(
  'A7: a listed status is tried again, as often as the route says, POST too; the last one is passed on',
  async (t) => {
    const service = await routed(t, [`[{ retry: { codes: [503], attempts: 3, backoff: 1ms }, ${V1} }]`]);
    let tries = 0;
    answer = (request, response, name) => {
      tries += 1;
      if (tries < 3) response.writeHead(503).end();
      else plainly(request, response, name);
    };
    const good = await ask(front.door, service, '/r', { method: 'POST' }, 'body');
    t.deepEqual([good.status, tries], [200, 3]);
    answer = (_, response) => {
      tries += 1;
      response.writeHead(503, { 'x-last': 'one' }).end();
    };
    tries = 0;
    const bad = await ask(front.door, service, '/r', { method: 'POST' }, 'body');
    t.deepEqual([bad.status, bad.headers['x-last'], tries], [503, 'one', 4]);
    answer = (_, response) => {
      tries += 1;
      response.writeHead(500).end();
    };
    tries = 0;
    t.deepEqual([(await ask(front.door, service)).status, tries], [500, 1]);
  },
);

test.serial(
  'A7: without codes a request that an application has seen is tried again only if that cannot act twice',
  async (t) => {
    const service = await routed(t, [`[{ retry: { attempts: 2, backoff: 1ms }, ${V1} }]`]);
    let tries = 0;
    answer = (request) => {
      tries += 1;
      request.socket.destroy();
    };
    const post = await ask(front.door, service, '/', { method: 'POST' }, 'body');
    t.deepEqual([post.status, body(post).code, tries], [502, 'upstream_closed', 1]);
    tries = 0;
    const get = await ask(front.door, service, '/');
    t.deepEqual([get.status, body(get).code, tries], [503, 'retries_exhausted', 3]);
    tries = 0;
    const headers = { 'idempotency-key': '1' };
    t.is((await ask(front.door, service, '/', { method: 'POST', headers }, 'body')).status, 503);
    t.is(tries, 3);
  },
);

test.serial('A7: a try that takes longer than backendRequest is tried again', async (t) => {
  const service = await routed(t, [
    `[{ timeouts: { backendRequest: 100ms }, retry: { attempts: 1, backoff: 1ms }, ${V1} }]`,
  ]);
  let tries = 0;
  answer = (request, response, name) => {
    tries += 1;
    if (tries > 1) plainly(request, response, name);
  };
  t.deepEqual([(await ask(front.door, service)).status, tries], [200, 2]);
});

test.serial('the first request with a body waits for its routes, and arrives whole', async (t) => {
  const service = await routed(t, [
    `[{ filters: [{ type: URLRewrite, urlRewrite: { hostname: x.example } }], ${V1} }]`,
  ]);
  let received = 0;
  answer = (request, response) => {
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    request.on('end', () => response.end(request.headers.host));
  };
  const sent = Buffer.alloc(300_000, 'x');
  const response = await ask(front.door, service, '/', { method: 'POST' }, sent);
  t.deepEqual([response.body.toString(), received], ['x.example', sent.length]);
});

test.serial('A7: tries that reach no application end in 503', async (t) => {
  const service = await routed(t, [
    '[{ retry: { attempts: 2, backoff: 1ms }, backendRefs: [{ name: dead, namespace: default, port: 80 }] }]',
  ]);
  const response = await ask(front.door, service);
  t.deepEqual([response.status, body(response).code], [503, 'retries_exhausted']);
});

test.serial('A9: callers of a namespace with routes of its own use only these', async (t) => {
  const service = await routed(
    t,
    [`[{ matches: [{ path: { value: /p } }], ${V1} }]`],
    [`[{ ${V2} }]`, 'shop'],
  );
  t.is((await ask(front.door, service, '/p')).headers['x-app'], 'v1');
  t.is((await ask(front.door, service, '/q')).status, 404);
  t.is((await ask(shopFront.door, service, '/p')).headers['x-app'], 'v2');
  t.is((await ask(shopFront.door, service, '/q')).headers['x-app'], 'v2');
});

test.serial('A9: a service without routes is reached as ever', async (t) => {
  t.is((await ask(front.door, 'v1')).headers['x-app'], 'v1');
});
