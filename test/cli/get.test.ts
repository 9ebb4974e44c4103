import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import type { AgentView, EndpointView, ResourceDocument } from '../../src/protocol/api.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { fakeController } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

const condition = (type: string, status: string, reason: string, message: string) => ({
  type,
  status,
  reason,
  message,
  observedGeneration: 12,
  lastTransitionTime: '2026-01-02T03:04:05.000Z',
});

const ORDERS: ResourceDocument = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: {
    name: 'orders',
    namespace: 'default',
    labels: { team: 'on' },
    creationTimestamp: '2026-01-02T03:04:05.000Z',
    revision: 12,
  },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'orders' }],
    rules: [{ matches: [{ headers: [{ name: 'x-tester', value: 'yes' }] }] }],
  },
  status: {
    parents: [
      {
        parentRef: { group: '', kind: 'Service', name: 'orders' },
        controllerName: 'weft.dev/controller',
        conditions: [
          condition('Accepted', 'True', 'Accepted', 'the route is accepted'),
          condition('ResolvedRefs', 'False', 'BackendNotFound', 'nope.default is not known'),
          condition('Programmed', 'False', 'Pending', '3 of 5 agents have applied it'),
        ],
      },
    ],
  },
};

const ENDPOINT = {
  service: 'orders.default',
  host: 'app-1',
  state: 'unhealthy',
  reason: 'GET /healthz: 500\u001b[31m',
  sinceMs: 1_000,
  labels: { version: 'v1' },
  applied: [1, 7],
} satisfies EndpointView;

const AGENT: AgentView = {
  agent: 'app-1',
  state: 'connected',
  since: '2026-01-02T03:04:05.000Z',
  release: '0.1.0',
  skewMs: -3,
  identityExpires: '2026-01-03T03:04:05.000Z',
  workloads: [ENDPOINT].map(({ host: _, applied: __, ...workload }) => workload),
  applied: { 'orders.default': [1, 7] },
  behind: ['orders.default'],
};

for (const output of ['yaml', 'json']) {
  test(`what get prints as ${output} can be applied again, a list and a single one`, async (t) => {
    const { weft } = await fakeController(t, nats.url, { get: () => ({ items: [ORDERS] }) });
    for (const what of ['httproutes', 'httproute/orders']) {
      const { code, stdout } = await weft(['get', what, '-o', output]);
      t.is(code, 0);
      const { resources, faults } = readResources(stdout, 'stdout');
      t.deepEqual(faults, []);
      t.deepEqual(
        resources.map(({ resource }) => resource.spec),
        [ORDERS.spec],
      );
      t.like(resources[0]?.resource.metadata, { name: 'orders', labels: { team: 'on' } });
    }
  });
}

test('get asks for the kind and the namespace that are meant, however they are written', async (t) => {
  const controller = await fakeController(t, nats.url, { get: () => ({ items: [ORDERS] }) });
  const table =
    'NAME              REVISION  ACCEPTED  RESOLVEDREFS         PROGRAMMED\n' +
    'httproute/orders  12        yes       no: BackendNotFound  no: 3 of 5 agents have applied it';
  t.is((await controller.weft(['get', 'HR'])).stdout, table);
  t.is((await controller.weft(['get', 'routes', '-n', 'shop'])).stdout, table);
  t.is((await controller.weft(['get', 'httproute', 'orders'])).stdout, table);
  t.regex(
    (await controller.weft(['get', 'all', '-A'])).stdout,
    /^NAMESPACE +NAME.*\ndefault +httproute\/orders/,
  );
  t.deepEqual(
    controller.asked.map(({ request }) => request),
    [
      { kind: 'HTTPRoute', namespace: 'default' },
      { kind: 'HTTPRoute', namespace: 'shop' },
      { kind: 'HTTPRoute', namespace: 'default', name: 'orders' },
      {},
    ],
  );
});

test('a list without anything in it says so, and is no failure', async (t) => {
  const { weft } = await fakeController(t, nats.url, {
    get: () => ({ items: [] }),
    services: () => ({
      items: [{ service: 'orders.shop', revision: null, endpoints: 1, ready: 1, routes: [] }],
    }),
  });
  const routes = await weft(['get', 'httproutes', '-n', 'shop']);
  t.like(routes, { code: 0, stdout: '' });
  t.is(
    routes.stderr,
    'there are no resources of kind HTTPRoute in the namespace shop (-A shows all namespaces)',
  );
  t.regex((await weft(['get', 'services'])).stderr, /^there are no services in the namespace default/);
  t.regex((await weft(['get', 'services', '-A'])).stdout, /orders\.shop +1\/1 +none/);
});

test('services, endpoints and agents are shown as the controller sees them, without control characters', async (t) => {
  const controller = await fakeController(t, nats.url, {
    services: () => ({
      items: [
        { service: 'orders.default', revision: [1, 7], endpoints: 2, ready: 1, routes: ['default/orders'] },
      ],
    }),
    endpoints: () => ({ items: [ENDPOINT] }),
    agents: () => ({ items: [AGENT] }),
  });
  const services = await controller.weft(['get', 'services']);
  t.regex(services.stdout, /^SERVICE +READY +REVISION +ROUTES\norders\.default +1\/2 +7 +default\/orders$/);
  const endpoints = await controller.weft(['get', 'endpoints/orders']);
  t.regex(
    endpoints.stdout,
    /\norders\.default +app-1 +unhealthy +\d+d +7 +version=v1 +GET \/healthz: 500 \[31m$/,
  );
  const agents = await controller.weft(['get', 'agents']);
  t.regex(agents.stdout, /\napp-1 +connected +\d+d +0\.1\.0 +-3ms +0\/1 +1 +orders\.default$/);
  t.deepEqual(JSON.parse((await controller.weft(['get', 'agents', '-o', 'json'])).stdout), {
    items: [AGENT],
  });
  t.deepEqual(
    controller.asked.map(({ request }) => request),
    [{}, { service: 'orders.default' }, {}, {}],
  );
});

test('a name that is not there is a refusal, a kind that does not exist a matter of usage', async (t) => {
  const { weft } = await fakeController(t, nats.url, {
    get: () => ({ code: 'not_found', message: 'there is no HTTPRoute named x' }),
  });
  t.like(await weft(['get', 'httproute/x']), { code: 1, stderr: 'weft: there is no HTTPRoute named x' });
  t.like(await weft(['get', 'htproute']), {
    code: 2,
    stderr: 'weft: there is no kind "htproute": is httproute meant?',
  });
  t.is((await weft(['get', 'httproute/Not_A_Name'])).code, 2);
  t.is((await weft(['get', 'services', '-o', 'xml'])).code, 2);
});

test('describe shows a resource with its status and its history', async (t) => {
  const { weft } = await fakeController(t, nats.url, {
    get: () => ({ items: [ORDERS] }),
    history: () => ({
      entries: [
        {
          revision: 3,
          time: '2026-01-01T00:00:00.000Z',
          author: 'ada@desk',
          action: 'created',
          resource: ORDERS,
        },
        { revision: 12, time: '2026-01-02T00:00:00.000Z', author: 'bob@desk', action: 'configured' },
      ],
    }),
  });
  const { code, stdout } = await weft(['describe', 'httproute/orders']);
  t.is(code, 0);
  t.regex(stdout, /Service orders +ResolvedRefs +False +BackendNotFound +nope\.default is not known/);
  t.regex(stdout, /name: x-tester\n +value: "yes"/);
  t.regex(stdout, /12 +2026-01-02T00:00:00\.000Z +bob@desk +configured\n +3 +2026-01-01/);
  const { history } = JSON.parse((await weft(['describe', 'hr/orders', '-o', 'json'])).stdout);
  t.is(history.length, 2);
  t.is((await weft(['history', 'httproute/orders'])).stdout.split('\n').length, 3);
});

test('describe shows a service with its instances, and an agent with what it holds', async (t) => {
  const { weft } = await fakeController(t, nats.url, {
    services: () => ({
      items: [{ service: 'orders.default', revision: null, endpoints: 1, ready: 0, routes: [] }],
    }),
    endpoints: () => ({ items: [ENDPOINT] }),
    agents: () => ({ items: [AGENT] }),
    get: () => ({ code: 'not_found', message: 'there is no Service named orders' }),
  });
  const service = await weft(['describe', 'service/orders']);
  t.is(service.code, 0, service.stderr);
  t.regex(service.stdout, /^endpoints +0 of 1 ready$/m);
  t.regex(service.stdout, /app-1 +unhealthy .* GET \/healthz: 500/);
  const agent = await weft(['describe', 'agent/app-1']);
  t.regex(agent.stdout, /^behind +orders\.default$/m);
  t.regex(agent.stdout, /snapshots:\n +SERVICE +APPLIED\n +orders\.default +7$/);
  t.notRegex(agent.stdout, /calls only|astray|rivals/);
  t.is((await weft(['describe', 'agent/Not_A_Name'])).code, 2);
});

test('what an agent only calls for, holds beyond what is published, and shares its name with is told', async (t) => {
  const view = { ...AGENT, callers: ['batch.default'], behind: [], astray: ['old.default'], rivals: 1 };
  const { weft } = await fakeController(t, nats.url, { agents: () => ({ items: [view] }) });
  const { stdout } = await weft(['describe', 'agent/app-1']);
  t.regex(stdout, /^calls only +batch\.default$/m);
  t.regex(stdout, /^astray +old\.default: holds what is not published, or newer$/m);
  t.regex(stdout, /^rivals +1 more of this name$/m);
  t.regex(
    (await weft(['get', 'agents'])).stdout,
    /connected, 2 of this name .* old\.default \(not published\)$/,
  );
});

test('diff shows the lines that apply would change, and tells by its exit code', async (t) => {
  const { revision: _, ...metadata } = ORDERS.metadata;
  const stored = { ...ORDERS, metadata, status: undefined };
  const changed = JSON.parse(JSON.stringify(stored).replace('"yes"', '"no"'));
  const name = { kind: 'HTTPRoute', namespace: 'default', name: 'orders' };
  const change = (after: object) => ({
    changes: [{ ...name, action: after === stored ? 'unchanged' : 'configured', before: stored, after }],
    warnings: [],
    snapshots: [],
  });
  const controller = await fakeController(t, nats.url, {
    apply: (_request, turn) => change(turn === 0 ? changed : stored),
  });
  await writeFile(join(controller.folder, 'orders.json'), JSON.stringify(changed));
  const differs = await controller.weft(['diff', '-f', 'orders.json']);
  t.is(differs.code, 1);
  t.regex(
    differs.stdout,
    /^--- httproute\/orders \(stored\)\n\+\+\+ httproute\/orders \(file\)\n@@ -\d+,\d+ \+/,
  );
  t.regex(differs.stdout, /\n- +value: "yes"\n\+ +value: "no"$/);
  t.like(controller.asked[0], { request: { dryRun: true } });
  t.like(await controller.weft(['diff', '-f', 'orders.json']), { code: 0, stdout: '' });
});
