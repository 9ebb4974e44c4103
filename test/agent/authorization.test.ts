/** AuthorizationPolicies over two agents and a real bus: one calls, one serves. */
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import type { DefaultAction } from '../../src/protocol/authorization/authorization.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { intrude } from '../kit/intruder.ts';
import { ask, MESH, startApplication, startMesh, type TestAgent, type TestMesh, until } from '../kit/mesh.ts';
import { type Publisher, startPublisher } from '../kit/publisher.ts';
import { Ear } from '../link/pair.ts';
import { MESH_TARGET, policy } from '../protocol/authorization/policies.ts';

let mesh: TestMesh;
let front: TestAgent;
let back: TestAgent;
let stop: () => void;
/** `service path` of what applications have seen. */
const seen: string[] = [];
const SERVICES = 'abcdefghijkl'.split('').map((name) => `${name}.default`);

test.before(async () => {
  mesh = await startMesh();
  const application = await startApplication(({ url, headers }, response) => {
    seen.push(`${headers.host} ${url}`);
    response.end(JSON.stringify({ url, caller: headers['weft-caller'] ?? null }));
  });
  stop = application.stop;
  back = await mesh.add(
    'back',
    SERVICES.map((service) => ({ service, ports: [application.port] })),
  );
  front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
});
test.after.always(async () => {
  stop?.();
  await mesh.stop();
});

let revision = 0;

/** Publishes policies of a service, as the controller compiles them, and waits until the agent that serves has them. */
async function publish(
  t: ExecutionContext,
  service: string,
  policies: readonly string[],
  defaultAction: DefaultAction = 'allow',
): Promise<void> {
  const { resources, faults } = readResources(policies.join('\n---\n'), 'test.yaml');
  t.deepEqual(faults, []);
  revision += 1;
  const mine = revision;
  const index = createCompileIndex(resources.map(({ resource }) => resource));
  const identity = { mesh: MESH, epoch: 1, revision: mine };
  const context = { defaultAction, revisionOf: () => 7 };
  const snapshot = compileService(service, index, new Set(SERVICES), identity, context);
  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
  await publisher.publish('snapshot', snapshot as Parameters<Publisher['publish']>[1]);
  const held = () => (back.agent.publications() as { snapshot: Record<string, Revision> }).snapshot[service];
  await until(() => held()?.[1] === mine, 'the agent that serves has it');
}

const about = (service: string) => ({ kind: 'Service', name: service.split('.')[0] });

/** What an agent of `thief.default` hears that asks by itself, as `caller` (`-`: nobody). */
async function hostile(t: ExecutionContext, service: string, request: string, caller = 'thief.default') {
  const link = await intrude(t, mesh.nats.url, mesh.seed, ['thief.default']);
  const ear = new Ear();
  link.openToService(service, `${request} ${service} ${caller} -\r\nhost: ${service}\r\n`, true, ear, 1);
  await until(() => ear.heard.length > 0, 'an answer');
  return ear.heard[0]?.split('\r\n')[0] ?? '';
}

async function decisions(agent: TestAgent, service: string): Promise<string[]> {
  const text = await agent.agent.registry.getSingleMetricAsString('weft_authorization_total');
  const lines = text.split('\n').filter((line) => line.includes(`service="${service}"`));
  return lines.map((line) => {
    const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(line)?.[1];
    return ['side', 'action', 'policy', 'rule', 'revision'].map(label).join(' ');
  });
}

test('an ALLOW lets in whom it names, and nobody else; the caller hears nothing of the policy', async (t) => {
  const service = 'a.default';
  const rules = [
    { name: 'readers', from: [{ services: ['checkout'] }], to: [{ methods: ['GET'], paths: ['/o/{id}'] }] },
  ];
  await publish(t, service, [policy('only-checkout', 'ALLOW', rules, about(service))]);
  const good = await ask(front.door, 'a', '/o/7?x=1');
  t.is(good.status, 200);
  t.like(JSON.parse(good.body.toString()), {
    url: '/o/7?x=1',
    caller: `spiffe://${MESH}/ns/default/sa/checkout`,
  });
  const { status, headers, body } = await ask(front.door, 'a', '/p');
  t.is(status, 403);
  t.like(JSON.parse(body.toString()), { code: 'denied', detail: 'policy does not let this caller do that' });
  t.regex(String(headers['proxy-status']), /^weft-front; error=http_request_denied/);
  t.notRegex(body.toString() + JSON.stringify(headers), /only-checkout|readers|ALLOW|revision/);
  t.is(await hostile(t, service, 'GET /o/7'), 'reset denied');
  t.is(await hostile(t, service, 'GET /o/7', '-'), 'reset denied');
  t.is(
    await hostile(t, service, 'GET /o/7', 'checkout.default'),
    'reset denied',
    'it may not speak for that',
  );
  t.true((await decisions(back, service)).includes('inbound ALLOW default/only-checkout readers 7'));
  t.true(
    (await decisions(back, service)).some((one) => /^inbound DENY mesh no-allow-matches \d+$/.test(one)),
  );
});

test('a DENY is applied by the agent of the caller, and no packet leaves', async (t) => {
  const service = 'b.default';
  await publish(t, service, [
    policy('no-admin', 'DENY', [{ to: [{ paths: ['/admin', '/admin/*'] }] }], about(service)),
  ]);
  t.is((await ask(front.door, 'b', '/ok')).status, 200);
  const spy = await connect({ servers: mesh.nats.url });
  t.teardown(() => spy.close());
  const packets: string[] = [];
  for (const kind of ['svc', 'ins']) {
    spy.subscribe(`weft.${MESH}.${kind}.default.b.>`, {
      callback: (_error, { subject }) => void packets.push(subject),
    });
    spy.subscribe(`weft.${MESH}.${kind}.default.b`, {
      callback: (_error, { subject }) => void packets.push(subject),
    });
  }
  await spy.flush();
  t.is((await ask(front.door, 'b', '/admin/x')).status, 403);
  t.is((await ask(front.door, 'b', '/ok')).status, 200);
  await until(() => packets.length > 0, 'the second request is seen');
  t.is(packets.length, 1);
  t.deepEqual(await decisions(front, service), ['outbound DENY default/no-admin 0 7']);
});

test('a copy for a mirror, and the question to an authorization service, are refused by the agent of the caller too', async (t) => {
  const everything = [{ to: [{ paths: ['/*'] }] }];
  await publish(t, 'k.default', [policy('closed', 'DENY', everything, about('k.default'))]);
  const backend = { name: 'k', namespace: 'default', port: 80 };
  const filters = [
    [{ type: 'RequestMirror', requestMirror: { backendRef: backend } }],
    [{ type: 'ExternalAuth', externalAuth: { protocol: 'HTTP', backendRef: backend, http: {} } }],
  ];
  const rules = filters.map((list, at) => ({
    matches: [{ path: { value: ['/mirror', '/ask'][at] } }],
    filters: list,
    backendRefs: [{ name: 'l', port: 80 }],
  }));
  const parentRefs = [{ group: '', kind: 'Service', name: 'l' }];
  const route = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata: { name: 'l' } };
  await publish(t, 'l.default', [JSON.stringify({ ...route, spec: { parentRefs, rules } })]);

  t.is((await ask(front.door, 'l', '/mirror/first')).status, 200);
  const held = () => (front.agent.publications() as { snapshot: Record<string, Revision> }).snapshot;
  await until(() => held()['k.default'], 'the agent of the caller knows of the policy');
  const denied = async ({ agent }: TestAgent) => {
    const text = await agent.registry.getSingleMetricAsString('weft_authorization_total');
    const line = text.split('\n').find((one) => one.includes('service="k.default"'));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  await until(
    async () => (await denied(back)) === 1,
    'the first copy has been refused where the service runs',
  );
  t.is((await ask(front.door, 'l', '/mirror/second')).status, 200);
  t.is(await denied(front), 1);
  const asked = await ask(front.door, 'l', '/ask');
  t.is(asked.status, 503);
  t.like(JSON.parse(asked.body.toString()), { code: 'auth_unavailable' });
  t.regex(JSON.parse(asked.body.toString()).detail, /ExternalAuth k\.default: denied: /);
  t.deepEqual([await denied(front), await denied(back)], [2, 1]);
  t.deepEqual(await decisions(front, 'k.default'), ['outbound DENY default/closed 0 7']);
  t.deepEqual(
    seen.filter((one) => one.startsWith('k')),
    [],
  );
});

test('an agent that leaves the early refusal out is refused where the service runs', async (t) => {
  const service = 'c.default';
  await publish(t, service, [policy('no-admin', 'DENY', [{ to: [{ paths: ['/admin'] }] }], about(service))]);
  t.is(await hostile(t, service, 'GET /admin'), 'reset denied');
  t.is(await hostile(t, service, 'GET /%61dmin'), 'reset denied');
  t.is(await hostile(t, service, 'GET /x%2Fadmin'), 'reset ambiguous_path');
  t.is(await hostile(t, service, 'GET /ok'), 'response 200 OK');
  t.deepEqual(
    seen.filter((one) => one.startsWith(service)),
    [`${service} /ok`],
  );
});

test('AUDIT is recorded, and changes neither the outcome nor the path', async (t) => {
  const service = 'd.default';
  await publish(t, service, [policy('watch', 'AUDIT', [{ to: [{ paths: ['/secret/*'] }] }], about(service))]);
  const { status, body } = await ask(front.door, 'd', '/secret/a%2Fb//c;d');
  t.is(status, 200);
  t.is(JSON.parse(body.toString()).url, '/secret/a%2Fb//c;d');
  t.true((await decisions(back, service)).includes('inbound AUDIT default/watch 0 7'));
});

test('who has no identity is let in where a policy names anonymous, and nowhere else', async (t) => {
  const service = 'e.default';
  t.is(await hostile(t, service, 'GET /', '-'), 'reset denied', 'without any policy');
  const anybody = [{ from: [{ principals: ['anonymous', '*'] }], to: [{ paths: ['/public/*'] }] }];
  await publish(t, service, [policy('public', 'ALLOW', anybody, about(service))]);
  t.is(await hostile(t, service, 'GET /public/x', '-'), 'response 200 OK');
  t.is(await hostile(t, service, 'GET /x', '-'), 'reset denied');
  t.is((await ask(front.door, 'e', '/public/x')).status, 200);
});

test('the default of the mesh decides for services without an ALLOW, and a policy about the mesh for all', async (t) => {
  await publish(t, 'f.default', [], 'deny');
  t.is((await ask(front.door, 'f')).status, 403);
  await publish(
    t,
    'f.default',
    [policy('m', 'ALLOW', [{ from: [{ namespaces: ['default'] }] }], MESH_TARGET, 'ops')],
    'deny',
  );
  await until(async () => (await ask(front.door, 'f')).status === 200, 'it is let in');
  t.is(await hostile(t, 'f.default', 'GET /', '-'), 'reset denied');
});

test('what is sent on is the path that was decided on; of a service without such policies, what came', async (t) => {
  await publish(t, 'g.default', [policy('p', 'DENY', [{ to: [{ paths: ['/admin'] }] }], about('g.default'))]);
  const got = async (service: string, path: string) => {
    const { status, body } = await ask(front.door, service, path);
    return status === 200 ? JSON.parse(body.toString()).url : `${status} ${JSON.parse(body.toString()).code}`;
  };
  t.is(await got('g', '//x/%7Euser/%c3%a9/./a%20b?q=%2F//'), '/x/~user/%C3%A9/a%20b?q=%2F//');
  t.is(await got('g', '/x;y'), '400 ambiguous_path');
  t.is(await got('h', '//x/%7e/;y/%2F'), '//x/%7e/;y/%2F');
});

test('OPTIONS for a whole server has no path, and an absolute target has that of its URI', async (t) => {
  await publish(t, 'i.default', [policy('p', 'DENY', [{ to: [{ paths: ['/*'] }] }], about('i.default'))]);
  t.is((await ask(front.door, 'i', '*', { method: 'OPTIONS' })).status, 200);
  t.is((await ask(front.door, 'x', 'http://i/admin')).status, 403);
});
