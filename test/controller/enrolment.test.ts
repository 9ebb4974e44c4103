import { jetstreamManager } from '@nats-io/jetstream';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { openBuckets } from '../../src/controller/buckets.ts';
import { startController } from '../../src/controller/controller.ts';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { joinTokenText } from '../../src/protocol/enrolment.ts';
import { heartbeatParts } from '../../src/protocol/heartbeat.ts';
import { readIntroduction } from '../../src/protocol/introduction.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { openDocument, unprovenClaims } from '../../src/protocol/signed-document.ts';
import { heartbeatSubject, identityBucket, publicationKey } from '../../src/protocol/subjects.ts';
import { TRUST_NAME, type TrustList } from '../../src/protocol/trust-list.ts';
import { enrolledAgent } from '../kit/enrolled-agent.ts';
import { until } from '../kit/mesh.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { type ControlPlane, MESH, route, startControlPlane } from './control-plane.ts';
import { enrol, invite, joinOf, rootKeyOf } from './host.ts';

async function start(t: ExecutionContext) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  return plane;
}

/** What a refused call says. */
async function refusal(plane: ControlPlane, verb: 'join' | 'renew', message: string): Promise<string> {
  const answer = await plane.settled(verb, { message });
  return answer.ok ? 'it was granted' : `${answer.error.code}: ${answer.error.message}`;
}

/** Why a renewal failed. */
function renewed(renew: () => Promise<unknown>): Promise<string> {
  return renew().then(() => 'it was granted', String);
}

async function trustList(plane: ControlPlane): Promise<TrustList | undefined> {
  const text = await plane.trust();
  if (text === undefined) return undefined;
  return openDocument(rootKeyOf(plane), 'weft-trust', text, 1024 * 1024) as unknown as TrustList;
}

test('a host that proves its token gets an identity, the keys of its services, and the trust list', async (t) => {
  const plane = await start(t);
  await until(() => plane.trust(), 'all was heard for a whole lease');
  const { keyring, granted } = await enrol(plane, 'app-1', ['orders.default']);
  const peer = readIntroduction(rootKeyOf(plane), MESH, keyring.document, Date.now());
  t.is(peer.agent, 'app-1');
  t.deepEqual([...peer.workloads], ['orders.default']);
  t.true(keyring.canServe('orders.default'));
  t.is(granted.keys.length, 1);
  t.not(granted.trust, '');
  t.is(keyring.fault, undefined);
});

test('R1: a token is refused the second time, also if the same message is sent again', async (t) => {
  const plane = await start(t);
  const token = await invite(plane, 'app-1', ['orders.default']);
  const first = joinOf(token, 'app-1');
  await plane.done('join', { message: first.message });
  t.regex(await refusal(plane, 'join', first.message), /^denied: it has been answered before/);
  t.regex(
    await refusal(plane, 'join', joinOf(token, 'app-1').message),
    /^denied: join token: it was used at .*weft token create/,
  );
});

test('R1: who has joined may ask again with the same keys, and gets the same identity', async (t) => {
  const plane = await start(t);
  const token = await invite(plane, 'app-1', ['orders.default']);
  const keys = createAgentKeys();
  await plane.done('join', { message: joinOf(token, 'app-1', keys).message });
  const again = await plane.settled('join', { message: joinOf(token, 'app-1', keys).message });
  t.true(again.ok);
  t.is((await plane.done('identities', {})).items[0]?.key, keys.publicKey);
});

test('R1: one of two hosts that use a token at the same time is enrolled', async (t) => {
  const plane = await start(t);
  const token = await invite(plane, 'app-1', ['orders.default']);
  const answers = await Promise.all(
    [joinOf(token, 'app-1'), joinOf(token, 'app-1')].map(({ message }) => plane.settled('join', { message })),
  );
  t.is(answers.filter(({ ok }) => ok).length, 1);
});

test('R1: a token of another host, an expired one, one with another secret and an unknown one are refused and told of', async (t) => {
  const plane = await start(t);
  const token = await invite(plane, 'app-1', ['orders.default']);
  t.regex(await refusal(plane, 'join', joinOf(token, 'app-2').message), /it is for the host app-1/);
  const secret = Buffer.alloc(32).toString('base64url');
  t.regex(
    await refusal(plane, 'join', joinOf({ ...token, secret }, 'app-1').message),
    /does not prove its token/,
  );
  const unknown = { ...token, id: '0'.repeat(32) };
  t.regex(await refusal(plane, 'join', joinOf(unknown, 'app-1').message), /not known here/);
  const late = joinOf(token, 'app-1', createAgentKeys(), { timeMs: Date.now() - 120_000 });
  t.regex(await refusal(plane, 'join', late.message), /the clock of its host is wrong/);
  const { checks } = await plane.done('check', {});
  const check = checks.find(({ name }) => name === 'enrolment');
  t.is(check?.result, 'warning');
  t.regex(check?.message ?? '', /^4 joins and renewals were refused/);
  // It was not used up by any of this.
  t.true((await plane.settled('join', { message: joinOf(token, 'app-1').message })).ok);
});

test('a renewal has to be signed by the agent that it is for, and is answered once', async (t) => {
  const plane = await start(t);
  const one = await enrol(plane, 'app-1', ['orders.default']);
  const two = await enrol(plane, 'app-2', ['billing.default']);
  const asked = one.renewalOf();
  t.true((await plane.settled('renew', { message: asked.message })).ok);
  t.regex(await refusal(plane, 'renew', asked.message), /answered before/);
  // The identity of one, and a statement of the other.
  const [identity] = one.renewalOf().message.split('~');
  const [, statement] = two.renewalOf().message.split('~');
  t.regex(await refusal(plane, 'renew', `${identity}~${statement}`), /not signed by its agent/);
});

test('an agent gets no key of a service that it may not serve', async (t) => {
  const plane = await start(t);
  const one = await enrol(plane, 'app-1', ['orders.default']);
  await enrol(plane, 'app-2', ['billing.default']);
  const { keys } = await one.renew();
  t.deepEqual([...new Set(keys.map(({ service }) => service))], ['orders.default']);
  t.is(one.keyring.servicePrivateKey('billing.default', keys[0]!.epoch), undefined);
});

test('the endpoint list of a service has its public keys; one that is rotated has the next one before it is used', async (t) => {
  const plane = await start(t);
  const { keyring, renew } = await enrol(plane, 'app-1', ['orders.default']);
  plane.agent('app-1', ['orders.default']).keepBeating();
  const before = await until(
    async () => (await plane.endpoints('orders.default'))?.keys,
    'keys are published',
  );
  t.is(before.length, 1);
  const { fromMs } = await plane.done('rotate', { what: 'service', service: 'orders.default' });
  const after = await until(async () => {
    const keys = (await plane.endpoints('orders.default'))?.keys;
    return keys?.length === 2 && keys;
  }, 'the next key is published');
  t.is(after[1]!.fromMs, fromMs);
  keyring.published('orders.default', after);
  await renew();
  t.truthy(keyring.servicePrivateKey('orders.default', after[1]!.epoch));
  t.truthy(keyring.servicePrivateKey('orders.default', after[0]!.epoch));
});

test('R2: new keys of an agent take the place of the old ones; the old ones may ask once more for a while', async (t) => {
  const plane = await start(t);
  const { keyring, renew, renewalOf } = await enrol(plane, 'app-1', ['orders.default']);
  await plane.done('rotate', { what: 'agent', agent: 'app-1' });
  const list = await until(() => trustList(plane), 'it is published');
  t.deepEqual(
    list.renew.map(({ agent }) => agent),
    ['app-1'],
  );
  const old = renewalOf();
  const next = createAgentKeys();
  await renew(next);
  t.is(keyring.keys.publicKey, next.publicKey);
  t.deepEqual((await trustList(plane))?.renew, []);
  t.true((await plane.settled('renew', { message: old.message })).ok);
  t.is((await plane.done('identities', {})).items[0]?.key, next.publicKey);
});

test('R3: a revoked agent is on the trust list, out of the endpoint lists, and is granted nothing more', async (t) => {
  const plane = await start(t);
  const { renew, keyring } = await enrol(plane, 'app-1', ['orders.default']);
  const beating = plane.agent('app-1', ['orders.default']);
  beating.keepBeating();
  const before = await until(async () => {
    const list = await plane.endpoints('orders.default');
    return list?.endpoints.length === 1 && list;
  }, 'it is listed');
  t.deepEqual(await plane.done('revoke', { agent: 'app-1' }), { services: ['orders.default'] });
  const after = await until(async () => {
    const list = await plane.endpoints('orders.default');
    return list?.endpoints.length === 0 && list;
  }, 'it is listed no more');
  t.true(after.keys!.at(-1)!.epoch > before.keys!.at(-1)!.epoch);
  const list = (await trustList(plane)) as TrustList;
  t.deepEqual(
    list.revoked.map(({ agent }) => agent),
    ['app-1'],
  );
  keyring.trust(list);
  t.regex(keyring.fault ?? '', /was revoked/);
  t.regex(await renewed(renew), /was revoked: enrol it with a token/);
  const again = await enrol(plane, 'app-1', ['orders.default']);
  again.keyring.trust((await trustList(plane)) as TrustList);
  t.is(again.keyring.fault, undefined);
  t.regex(await refusal(plane, 'renew', 'x~y'), /no identity of this mesh/);
});

test('an open token of a host that is revoked does not bring it back', async (t) => {
  const plane = await start(t);
  await enrol(plane, 'app-1', ['orders.default']);
  const open = await invite(plane, 'app-1', ['orders.default']);
  await plane.done('revoke', { agent: 'app-1' });
  t.regex(await refusal(plane, 'join', joinOf(open, 'app-1').message), /it expired/);
});

test('the next leader knows tokens, agents and revocations', async (t) => {
  const plane = await startControlPlane(t);
  const first = await plane.add();
  await until(() => first.controller.leading, 'it leads');
  const token = await invite(plane, 'app-3', ['orders.default']);
  await enrol(plane, 'app-1', ['orders.default']);
  const two = await enrol(plane, 'app-2', ['orders.default']);
  await plane.done('revoke', { agent: 'app-2' });
  await first.controller.stop();
  const second = await plane.add();
  await until(() => second.controller.leading, 'the other one leads');
  t.regex(await renewed(two.renew), /was revoked/);
  t.true((await plane.settled('join', { message: joinOf(token, 'app-3').message })).ok);
  const { items } = await plane.done('identities', {});
  t.deepEqual(
    items.map(({ agent, state }) => [agent, state]),
    [
      ['app-1', 'valid'],
      ['app-2', 'revoked'],
      ['app-3', 'valid'],
    ],
  );
});

test('an old record that somebody puts back into the bucket undoes no revocation', async (t) => {
  const plane = await start(t);
  const { renew } = await enrol(plane, 'app-1', ['orders.default']);
  const before = await plane.entry('identity', 'agent.app-1');
  await plane.done('revoke', { agent: 'app-1' });
  await plane.write('identity', 'agent.app-1', before);
  await until(async () => (await plane.entry('identity', 'agent.app-1')) !== before, 'it is put right');
  t.regex(await renewed(renew), /was revoked/);
});

/** Revoked, and then all is put back that can be written without a key: as it was before. */
async function startSetBack(t: ExecutionContext) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const buckets = await openBuckets(plane.client, MESH);
  const host = await enrol(plane, 'app-1', ['orders.default']);
  const editor = plane.operator('ed', 'editor');
  const journal = await plane.entry('state', 'identities');
  const before: [key: string, text: string][] = [];
  for await (const key of await buckets.identity.keys())
    before.push([key, await plane.entry('identity', key)]);
  await plane.done('revokeOperator', { name: 'ed' });
  await plane.done('revoke', { agent: 'app-1' });
  const list = await until(async () => {
    const found = await trustList(plane);
    return found?.revoked.length === 1 && found;
  }, 'it is on the trust list');
  await controller.stop();
  await (await jetstreamManager(plane.client)).streams.purge(`KV_${identityBucket(MESH)}`);
  for (const [key, text] of before) await plane.write('identity', key, text);
  await plane.write('state', 'identities', journal);
  await buckets.config.purge(publicationKey('trust', TRUST_NAME));
  const change = { resources: [route('orders', 'orders.default', 'a')] };
  const applied = async () => {
    const answer = await plane.call('apply', change, editor);
    return answer.ok ? 'ok' : answer.error.code;
  };
  return { ...plane, host, applied, list };
}

test('R4: an identity store that was set back whole is known by the trust list that agents hold, and undoes no revocation', async (t) => {
  const { host, applied, list, ...plane } = await startSetBack(t);
  const witness = plane.agent('app-2', []);
  witness.beat({ heads: [list.head!] });
  witness.keepBeating();
  const { controller } = await plane.add();
  await until(() => controller.leading, 'the next one leads');
  const check = await until(async () => {
    const { checks } = await plane.done('check', {});
    return checks.find(({ name, result }) => name === 'enrolment' && result === 'failed');
  }, 'check says so');
  t.regex(check.message, /set back/);
  t.regex(await renewed(host.renew), /set back/);
  t.is(await applied(), 'unavailable', 'nor that of an operator');
  const message = {
    host: 'app-3',
    workloads: [],
    ttlMs: 60_000,
    sealTo: Buffer.alloc(32).toString('base64url'),
  };
  const answer = await plane.settled('token', message);
  t.is(answer.ok ? '' : answer.error.code, 'unavailable');
  t.is(await plane.trust(), '', 'and agents go by the list that they hold');
});

test('R4: until a new leader has listened to agents for a lease it grants nothing and publishes no trust list', async (t) => {
  const { host, applied, ...plane } = await startSetBack(t);
  const { controller } = await plane.add({ agentLeaseMs: 600_000 });
  await until(() => controller.leading, 'it leads');
  const answer = await plane.call('renew', { message: host.renewalOf().message });
  t.regex(answer.ok ? '' : answer.error.message, /just begun to listen/);
  const revoked = await plane.call('revoke', { agent: 'app-1' });
  t.is(revoked.ok ? '' : revoked.error.code, 'not_leading');
  t.is(await applied(), 'not_leading');
  plane.agent('app-2', ['new.default']).keepBeating();
  await until(() => plane.endpoints('new.default'), 'other things are published');
  t.is(await plane.trust(), '', 'of the trust list is left that it was taken away');
});

test('R2: new keys are not taken from who has the replaced ones', async (t) => {
  const plane = await start(t);
  const { renew, renewalOf } = await enrol(plane, 'app-1', ['orders.default']);
  const [next, other] = [createAgentKeys(), createAgentKeys()];
  const old = renewalOf(other);
  const same = renewalOf(next);
  await renew(next);
  t.regex(await refusal(plane, 'renew', old.message), /^denied: .*taken the place of/);
  t.true((await plane.settled('renew', { message: same.message })).ok, 'the answer may have been lost');
  t.is((await plane.done('identities', {})).items[0]?.key, next.publicKey);
});

test('of joins that are refused a few are logged in a second, and how many more there were', async (t) => {
  const plane = await startControlPlane(t);
  const lines: { msg: string; count?: number }[] = [];
  let nowMs = 0;
  const controller = await startController({
    connection: plane.client,
    mesh: MESH,
    root: readRoot(plane.seed),
    id: 'one',
    release: '0.0.0',
    log: pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    now: () => nowMs,
  });
  t.teardown(controller.stop);
  await until(() => controller.leading, 'it leads');
  const join = () => controller.api.answer('join', JSON.stringify({ message: 'x' }), 'bus');
  for (let count = 0; count < 20; count++) await join();
  t.is(lines.filter(({ msg }) => msg === 'an agent was granted nothing').length, 5);
  nowMs += 1_000;
  await join();
  t.deepEqual(
    lines.slice(-2).map(({ msg, count }) => [msg, count]),
    [
      ['more joins and renewals were refused', 15],
      ['an agent was granted nothing', undefined],
    ],
  );
});

test('an agent shows in its heartbeats how far the stores had come that its snapshots and its trust list are of', async (t) => {
  const plane = await start(t);
  const beats: string[] = [];
  plane.client.subscribe(heartbeatSubject(MESH, 'app-1'), {
    callback: (_, message) => void beats.push(heartbeatParts(message.string()).statement),
  });
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  const { id, secret } = await invite(plane, 'app-1', ['orders.default']);
  const root = readRoot(plane.seed).publicKey;
  const token = joinTokenText({ mesh: MESH, host: 'app-1', root, id, secret, nats: [plane.nats.url] });
  const workloads = [{ service: 'orders.default', ports: [1] }];
  const agent = await enrolledAgent(t, plane.nats.url, await tempFolder(t), 'app-1', workloads, token);
  await agent.start();
  await until(async () => {
    const heads = [(await trustList(plane))?.head, (await plane.snapshot('orders.default'))?.head];
    return JSON.stringify(unprovenClaims(beats.at(-1) ?? '').heads) === JSON.stringify(heads);
  }, 'it shows both');
  t.pass();
});
