/** Session persistence (A8) across agents and a real bus: `one` and `two` serve v1, `three` serves v2, `front` calls. */
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import type { Endpoint } from '../../src/protocol/endpoint-list.ts';
import { heartbeatParts } from '../../src/protocol/heartbeat.ts';
import { heartbeatsSubject } from '../../src/protocol/subjects.ts';
import { ask, MESH, quiet, startApplication, startMesh, type TestMesh, until } from '../kit/mesh.ts';
import { listOf, startPublisher } from '../kit/publisher.ts';

const SERVES = { one: 'v1.default', two: 'v1.default', three: 'v2.default' } as const;
const V1 = 'backendRefs: [{ name: v1, port: 80 }]';
const BOTH = (v1: number, v2: number) =>
  `backendRefs: [{ name: v1, port: 80, weight: ${v1} }, { name: v2, port: 80, weight: ${v2} }]`;
const COOKIE = 'sessionPersistence: { type: Cookie, cookie: { name: sid } }';

/** `own`: what the calling agent serves itself. */
async function start(t: ExecutionContext, own?: string) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const documents = await heard(t, mesh);
  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
  /** Statuses that applications give to their next requests, by agent; 200 else. */
  const statuses = new Map<string, number[]>();
  const agents = new Map<string, Awaited<ReturnType<TestMesh['add']>>>();
  const asked = new Map<string, number>();
  const serving = async (name: string, service: string) => {
    const application = await startApplication((request, response) => {
      asked.set(name, (asked.get(name) ?? 0) + 1);
      response.statusCode = statuses.get(name)?.shift() ?? 200;
      response.end(JSON.stringify({ by: name, headers: request.headers }));
    });
    t.teardown(application.stop);
    return { service, ports: [application.port] };
  };
  for (const [name, service] of Object.entries(SERVES)) {
    agents.set(name, await mesh.add(name, [await serving(name, service)]));
  }
  const front = await mesh.add('front', [
    { service: 'checkout.default', calls: true },
    ...(own === undefined ? [] : [await serving('front', own)]),
  ]);
  let revision = 0;
  return {
    front,
    statuses,
    /** How many requests the application of an agent has had. */
    asked: (name: string) => asked.get(name) ?? 0,
    agent: (name: string) => agents.get(name)!.agent,
    /** Publishes rules of the service orders and waits until the caller follows them. */
    async route(rules: string) {
      const text = [
        'apiVersion: gateway.networking.k8s.io/v1',
        'kind: HTTPRoute',
        'metadata: { name: orders }',
        'spec:',
        '  parentRefs: [{ group: "", kind: Service, name: orders }]',
        `  rules: ${rules}`,
      ].join('\n');
      const { resources, faults } = readResources(text, 'test.yaml');
      t.deepEqual(faults, []);
      revision += 1;
      const index = createCompileIndex(resources.map(({ resource }) => resource));
      const snapshot = compileService('orders.default', index, new Set(Object.values(SERVES)), {
        mesh: MESH,
        epoch: 1,
        revision,
      });
      await publisher.publish('snapshot', snapshot as Parameters<typeof publisher.publish>[1]);
      await until(async () => {
        await ask(front.door, 'orders', '/settle');
        return JSON.stringify(front.agent.publications()).includes(`[1,${revision}]`);
      }, 'the routes are followed');
    },
    /** Publishes who serves v1 and v2. */
    async list(states: Partial<Record<keyof typeof SERVES, Endpoint['state']>> = {}) {
      revision += 1;
      for (const service of new Set(Object.values(SERVES))) {
        const names = Object.entries(SERVES).filter(([, served]) => served === service);
        const entries = names.map(async ([name]) => ({
          agent: name,
          document: await until(() => documents.get(name), `a heartbeat of ${name}`),
          state: states[name as keyof typeof SERVES] ?? ('ready' as const),
        }));
        await publisher.publish('endpoints', listOf(service, [1, revision], await Promise.all(entries)));
      }
    },
    /** One request; gives who answered, the token that came with it, and the whole of the cookie. */
    async send(cookie?: string, path = '/', more: object = {}) {
      const headers = { ...(cookie === undefined ? {} : { cookie }), ...more };
      const response = await ask(front.door, 'orders', path, { headers });
      const { by, headers: received } = JSON.parse(response.body.toString());
      const [text] = response.headers['set-cookie'] ?? [];
      return {
        status: response.status,
        by,
        received,
        text,
        cookie: text?.split(';')[0],
        headers: response.headers,
      };
    },
  };
}

/** Introductions of agents, as their heartbeats say them. */
async function heard(t: ExecutionContext, { nats }: TestMesh): Promise<ReadonlyMap<string, string>> {
  const connection = await connect({ servers: nats.url });
  t.teardown(() => connection.close());
  const documents = new Map<string, string>();
  connection.subscribe(heartbeatsSubject(MESH), {
    callback(_error, message) {
      const agent = message.subject.slice(message.subject.lastIndexOf('.') + 1);
      documents.set(agent, heartbeatParts(message.string()).introduction);
    },
  });
  await connection.flush();
  return documents;
}

/** Who has answered `count` requests, each once in the result. */
async function answered(count: number, send: () => Promise<{ by: string }>): Promise<string[]> {
  const names = new Set<string>();
  for (let sent = 0; sent < count; sent++) names.add((await send()).by);
  return [...names].sort();
}

for (const listed of [true, false]) {
  test(`A8: fifty requests of a session go to the endpoint of the first, ${listed ? 'with' : 'without'} a list`, async (t) => {
    const { route, list, send, front } = await start(t);
    if (listed) await list();
    await route(`[{ ${COOKIE}, ${BOTH(1, 1)} }]`);
    const begun = new Map<string, string>();
    await until(async () => {
      const { by, cookie } = await send();
      begun.set(by, cookie as string);
      return begun.size === 3;
    }, 'first requests go to every endpoint');
    for (const [by, cookie] of begun) {
      for (let count = 0; count < 50; count++) {
        const next = await send(`other=1; ${cookie}`);
        t.deepEqual([next.status, next.by, next.text], [200, by, undefined]);
      }
    }
    t.deepEqual(
      (await send(begun.get('one'))).received.cookie,
      begun.get('one'),
      'the application sees it too',
    );
    await until(() => quiet(front.agent), 'nothing is left');
  });
}

test('A8: first requests are shared by the weights, and a session beats them, even a weight of 0', async (t) => {
  const { route, list, send } = await start(t);
  await list();
  await route(`[{ ${COOKIE}, ${BOTH(7, 3)} }]`);
  const shares = { one: 0, two: 0, three: 0 };
  for (let count = 0; count < 200; count++) shares[(await send()).by as keyof typeof shares] += 1;
  // Six standard deviations around 60.
  t.true(shares.three > 20 && shares.three < 100, JSON.stringify(shares));
  const { by, cookie } = await until(async () => {
    const first = await send();
    return first.by !== 'three' && first;
  }, 'a session with v1');
  await route(`[{ ${COOKIE}, ${BOTH(0, 1)} }]`);
  t.deepEqual(await answered(20, () => send(cookie)), [by]);
  t.deepEqual(await answered(20, () => send()), ['three']);
});

test('A8: two rules with one service keep sessions of their own', async (t) => {
  const { route, list, send } = await start(t);
  await list();
  const rule = (path: string, name: string) =>
    `{ matches: [{ path: { value: ${path} } }], sessionPersistence: { cookie: { name: ${name} } }, ${V1} }`;
  await route(`[${rule('/a', 'sa')}, ${rule('/b', 'sb')}]`);
  const a = (await send(undefined, '/a')).cookie as string;
  const b = await until(async () => {
    const first = await send(undefined, '/b');
    return first.by !== (await send(a, '/a')).by && first.cookie;
  }, 'a session of the other rule with the other endpoint');
  const both = `${a}; ${b}`;
  const [ofA] = await answered(20, () => send(both, '/a'));
  const [ofB] = await answered(20, () => send(both, '/b'));
  t.deepEqual([ofA, ofB].sort(), ['one', 'two']);
  // The token of the one under the name of the other is no token.
  const crossed = await send(a.replace('sa=', 'sb='), '/b');
  t.regex(crossed.text ?? '', /^sb=/);
});

test('A8: a rule that names no cookie has one of its own, for its session, at every path', async (t) => {
  const { route, send } = await start(t);
  await route(`[{ matches: [{ path: { value: /a } }], sessionPersistence: { cookie: {} }, ${V1} },
    { sessionPersistence: { absoluteTimeout: 1h }, ${V1} }]`);
  const first = (await send(undefined, '/a')).text ?? '';
  const second = (await send()).text ?? '';
  t.regex(first, /^weft-session-[0-9a-f]{12}=\S+; Path=\/; HttpOnly; SameSite=Strict$/);
  t.regex(second, /^weft-session-[0-9a-f]{12}=\S+; Path=\/; HttpOnly; SameSite=Strict$/);
  t.not(first.split('=')[0], second.split('=')[0]);
});

test('A8: a permanent cookie says when it ends, and the session ends then whatever the client does', async (t) => {
  const { route, list, send } = await start(t);
  await list();
  const cookie = 'cookie: { name: sid, lifetimeType: Permanent, path: /shop }';
  await route(`[{ sessionPersistence: { absoluteTimeout: 5m, ${cookie} }, ${V1} }]`);
  const first = await send();
  t.regex(first.text ?? '', /; Path=\/shop; .*; Max-Age=300; Expires=\w{3}, /);
  const [, token = '', began = ''] = /^(sid=.*)\.([0-9a-z]+)$/.exec(first.cookie as string) ?? [];
  const at = (agoMs: number) => `${token}.${(Number.parseInt(began, 36) - agoMs).toString(36)}`;
  t.deepEqual(await answered(10, () => send(at(200_000))), [first.by]);
  t.deepEqual(await answered(10, () => send(at(301_000))), ['one', 'two']);
  t.regex((await send(at(301_000))).text ?? '', /^sid=/);
});

test('A8: a session may be known by a header', async (t) => {
  const { route, list, send } = await start(t);
  await list();
  await route(`[{ sessionPersistence: { type: Header, header: { name: X-Session } }, ${V1} }]`);
  const first = await send();
  const token = first.headers['x-session'];
  t.is(typeof token, 'string');
  t.is(first.text, undefined);
  for (let count = 0; count < 50; count++) {
    const next = await send(undefined, '/', { 'x-session': token });
    t.deepEqual(
      [next.by, next.headers['x-session'], next.received['x-session']],
      [first.by, undefined, token],
    );
  }
});

test('A8: a session whose endpoint is unhealthy begins anew at another one, and stays there', async (t) => {
  const { route, list, send } = await start(t);
  await list();
  await route(`[{ ${COOKIE}, ${V1} }]`);
  const first = await send();
  await list({ [first.by]: 'unhealthy' });
  const moved = await until(async () => {
    const next = await send(first.cookie);
    return next.by !== first.by && next;
  }, 'it is served by the other one');
  t.regex(moved.text ?? '', /^sid=/);
  await list();
  t.deepEqual(await answered(10, () => send(moved.cookie)), [moved.by]);
});

test('A8: when the endpoint is gone before it is known, the next try begins a session where the weights lead', async (t) => {
  const { route, list, send, agent, front } = await start(t);
  await list();
  await route(`[{ ${COOKIE}, ${V1} }]`);
  const first = await send();
  await route(`[{ ${COOKIE}, ${BOTH(0, 1)} }]`);
  t.is((await send(first.cookie)).by, first.by);
  await agent(first.by).stop();
  const next = await send(first.cookie);
  t.deepEqual([next.status, next.by], [200, 'three']);
  t.deepEqual(await answered(10, () => send(next.cookie)), ['three']);
  await until(() => quiet(front.agent), 'nothing is left');
});

test('A8 and A7: a status that the route has tried again leads to another endpoint, and the session with it', async (t) => {
  const { route, list, send, statuses } = await start(t);
  await list();
  await route(`[{ ${COOKIE}, retry: { codes: [503], attempts: 1, backoff: 1ms }, ${V1} }]`);
  const first = await send();
  statuses.set(first.by, [503]);
  const next = await send(first.cookie);
  t.deepEqual([next.status, next.by === first.by], [200, false]);
  t.deepEqual(await answered(10, () => send(next.cookie)), [next.by]);
});

test('A8 and A4: who has agreed to a request is not asked again when its session has to begin anew', async (t) => {
  const { route, list, send, agent, asked } = await start(t);
  await list();
  const auth =
    '{ protocol: HTTP, http: { allowedResponseHeaders: [x-user] }, backendRef: { name: v2, port: 80 } }';
  await route(`[{ filters: [{ type: ExternalAuth, externalAuth: ${auth} }], ${COOKIE}, ${V1} }]`);
  const first = await send();
  await agent(first.by).stop();
  const before = asked('three');
  const next = await send(first.cookie);
  t.deepEqual([next.status, next.by === first.by, asked('three') - before], [200, false, 1]);
});

test('A8: what is no token, or one of nobody, begins a session like none', async (t) => {
  const { route, list, send, front } = await start(t);
  await list();
  await route(`[{ ${COOKIE}, ${V1} }]`);
  const { cookie = '' } = await send();
  const [backend = '', endpoint = ''] = cookie.slice(4).split('.');
  const unknown = [`${'x'.repeat(16)}.${endpoint}`, `${backend}.${'x'.repeat(16)}`, `${endpoint}.${backend}`];
  for (const token of ['', 'broken', 'x'.repeat(4_000), `${backend}.`, ...unknown]) {
    const { status, text } = await send(`sid=${token}`);
    t.is(status, 200);
    t.regex(text ?? '', /^sid=/, token.slice(0, 40));
  }
  await until(() => quiet(front.agent), 'nothing is left');
});

test('A8: the endpoint of a session may be the calling agent itself', async (t) => {
  const { route, list, send } = await start(t, 'v1.default');
  await list();
  await route(`[{ ${COOKIE}, ${V1} }]`);
  const near = await until(async () => {
    const first = await send();
    return first.by === 'front' && first.cookie;
  }, 'a session with the agent of the caller');
  t.deepEqual(await answered(20, () => send(near)), ['front']);
});
