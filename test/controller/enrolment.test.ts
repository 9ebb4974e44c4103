import test, { type ExecutionContext } from 'ava';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { readIntroduction } from '../../src/protocol/introduction.ts';
import { openDocument } from '../../src/protocol/signed-document.ts';
import type { TrustList } from '../../src/protocol/trust-list.ts';
import { until } from '../kit/mesh.ts';
import { type ControlPlane, MESH, startControlPlane } from './control-plane.ts';
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
