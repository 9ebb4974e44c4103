/** An agent that is cut off is out of the mesh at once, in both directions, and says so itself. */
import { once } from 'node:events';
import { request } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { connectBus } from '../../../src/agent/link/bus.ts';
import { Link } from '../../../src/agent/link/link.ts';
import { type AgentKeyring, createAgentKeyring } from '../../../src/agent/trust/agent-keyring.ts';
import { createAgentKeys } from '../../../src/protocol/agent-keys.ts';
import { issueIdentity } from '../../../src/protocol/identity.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { createRoot, readRoot } from '../../../src/protocol/root.ts';
import { CHECKOUT, type EnrolledMesh, ORDERS, startEnrolledMesh } from '../../kit/enrolled-mesh.ts';
import { MESH, quiet, until } from '../../kit/mesh.ts';
import { Ear } from '../../link/pair.ts';

/** A request whose response has begun and does not end. */
async function held(t: ExecutionContext, mesh: EnrolledMesh) {
  const sent = request({
    host: '127.0.0.1',
    port: mesh.front.door,
    path: '/hold',
    headers: { host: 'orders' },
  });
  sent.on('error', () => {});
  t.teardown(() => sent.destroy());
  sent.end();
  const [response] = await once(sent, 'response');
  response.on('error', () => {});
  await once(response, 'data');
  return { over: new Promise<void>((resolve) => response.once('close', resolve)) };
}

for (const host of ['back', 'front'] as const) {
  test(`when ${host} is cut off its streams end at once, and no other begins`, async (t) => {
    const mesh = await startEnrolledMesh(t);
    const { granter, front, back } = mesh;
    t.is(await mesh.call(), '200 served');
    const { over } = await held(t, mesh);
    await granter.publishTrust({ revoked: [{ agent: host, beforeMs: nextSecondMs() }] });
    await over;
    await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is open');
    const before = mesh.requests();
    t.regex(
      await mesh.call(),
      host === 'front' ? /^503 identity_invalid$/ : /^503 (no_endpoint|identity_invalid)$/,
    );
    t.is(mesh.requests(), before);

    const out = mesh[host];
    await until(() => !out.agent.ready, 'it says that it is not ready');
    t.regex(out.agent.reason ?? '', /was revoked; start it with a new token: weft token create --host/);
    t.true(out.log.some(({ level, reason }) => level === 50 && /was revoked/.test(String(reason))));
    t.true(mesh[host === 'front' ? 'back' : 'front'].agent.ready);
  });
}

/** An agent that goes on as if it had not heard of anything. */
async function startThief(t: ExecutionContext, mesh: EnrolledMesh, keyring: AgentKeyring) {
  keyring.published(ORDERS, mesh.granter.keys.get(ORDERS) ?? []);
  const bus = await connectBus({ servers: mesh.nats.url }, { lost() {}, back() {} });
  t.teardown(() => bus.close());
  const events = { fault() {}, refused() {}, served() {}, missing() {}, proven() {} };
  const parts = { keyring, wallMs: Date.now, now: () => performance.now(), events };
  const link = new Link({ ...parts, serve: () => new Ear() });
  link.attach(bus);
  const ask = () => {
    const ear = new Ear();
    link.openToService(ORDERS, `GET / ${ORDERS} ${CHECKOUT} 15000\r\n`, true, ear, 1);
    return ear;
  };
  const first = ask();
  await until(() => first.heard.some((one) => one.startsWith('response')), 'it is answered');
  return ask;
}

/** Asks once more, in vain: nothing of it is acted on. */
async function isRefused(t: ExecutionContext, mesh: EnrolledMesh, ask: () => unknown) {
  const before = mesh.requests();
  ask();
  const refused = async () => {
    const metric = await mesh.back.agent.registry.getSingleMetric('weft_packets_refused_total')?.get();
    return metric?.values.some(({ labels, value }) => labels.reason === 'identity' && value > 0);
  };
  await until(refused, 'its packet is refused');
  t.is(mesh.requests(), before);
}

test('an agent that was cut off is believed no more, even if it goes on as if it had not heard of it', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const ask = await startThief(t, mesh, (await mesh.enrolled('thief')).membership.keyring);
  await mesh.granter.publishTrust({ revoked: [{ agent: 'thief', beforeMs: nextSecondMs() }] });
  await until(() => trustOf(mesh.back) !== undefined, 'back knows');
  await isRefused(t, mesh, ask);
});

test('who shows an identity of a root that holds no more is believed no more, although it was known', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const [root, other] = [readRoot(mesh.seed), readRoot(createRoot().seed)];
  const roots = [root.publicKey, other.publicKey];
  await mesh.granter.publishTrust({ roots });
  await until(() => trustOf(mesh.back) !== undefined, 'back knows both roots');
  const keys = createAgentKeys();
  const nowMs = Date.now();
  const identity = issueIdentity(other, MESH, {
    agent: 'thief',
    signingKey: keys.publicKey,
    boxKey: keys.boxKey,
    workloads: new Set([CHECKOUT]),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + LIMITS.identityMs,
  });
  const keyring = createAgentKeyring({ mesh: MESH, agent: 'thief', keys, identity, roots, now: Date.now });
  const ask = await startThief(t, mesh, keyring);
  const before = trustOf(mesh.back)?.[1];
  await mesh.granter.publishTrust({});
  await until(() => trustOf(mesh.back)?.[1] !== before, 'back knows one of them');
  await isRefused(t, mesh, ask);
});

const trustOf = ({ agent }: { readonly agent: { publications(): unknown } }) =>
  (agent.publications() as { trust: Record<string, readonly number[]> }).trust['trust.weft'];

test('who was enrolled anew after it was cut off is in the mesh again, and what others run goes on', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const { granter, back } = mesh;
  await mesh.serving('other');
  await granter.publishList(ORDERS, ['other']);
  t.is(await mesh.call(), '200 served');
  await until(async () => (await mesh.call('POST')) === '200 served', 'other serves');
  const { over } = await held(t, mesh);
  let ended = false;
  over.then(() => {
    ended = true;
  });
  const beforeMs = nextSecondMs();
  await granter.publishTrust({ revoked: [{ agent: 'back', beforeMs }] });
  await until(() => !back.agent.ready, 'back is out');
  await back.agent.stop();
  const again = await mesh.serving('back');
  t.true(again.agent.ready);
  await until(() => granter.introductionOf('back') === again.membership.keyring.document, 'it is heard');
  await granter.publishList(ORDERS, ['back']);
  const before = mesh.requests();
  await until(async () => (await mesh.call()) === '200 served', 'it serves');
  t.true(mesh.requests() > before);
  t.false(ended);
});

/** Identities are issued in whole seconds: all that there are, are of before that. */
function nextSecondMs(): number {
  return Math.floor(Date.now() / 1000) * 1000 + 1000;
}
