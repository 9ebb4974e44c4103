/** When an identity is renewed; and that nothing stops for it. */
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Bus } from '../../../src/agent/link/bus.ts';
import { createIdentityFolder } from '../../../src/agent/trust/identity-folder.ts';
import { createMembership } from '../../../src/agent/trust/membership.ts';
import { createRenewal } from '../../../src/agent/trust/renewal.ts';
import { createAgentKeys } from '../../../src/protocol/agent-keys.ts';
import { agentOfRenewal, openRenewal, sealTo } from '../../../src/protocol/enrolment.ts';
import { issueIdentity } from '../../../src/protocol/identity.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { createRoot, readRoot } from '../../../src/protocol/root.ts';
import { publishedServiceKey, serviceSecret } from '../../../src/protocol/service-key.ts';
import { signDocument, signingKey } from '../../../src/protocol/signed-document.ts';
import { ORDERS, startEnrolledMesh } from '../../kit/enrolled-mesh.ts';
import { MESH, until } from '../../kit/mesh.ts';
import { tempFolder } from '../../kit/temp-folder.ts';

const HOUR_MS = 3_600_000;

/** A renewal whose clocks and controller are the test's. */
async function create(t: ExecutionContext) {
  const root = readRoot(createRoot().seed);
  const keys = createAgentKeys();
  const clock = { nowMs: 1_800_000_000_000 };
  const own = createAgentKeys();
  const sealedBy = Buffer.from(own.boxKey).toString('base64url');
  const identityOf = (key: string, x25519: string) =>
    issueIdentity(root, MESH, {
      agent: 'a',
      signingKey: key,
      boxKey: Buffer.from(x25519, 'base64url'),
      workloads: new Set([ORDERS]),
      issuedAtMs: clock.nowMs,
      expiresAtMs: clock.nowMs + LIMITS.identityMs,
    });
  const x25519Of = (of: typeof keys) => Buffer.from(of.boxKey).toString('base64url');
  const folder = createIdentityFolder(join(await tempFolder(t), 'data'));
  await folder.keepKeys(keys);
  const stored = {
    version: 1,
    mesh: MESH,
    agent: 'a',
    key: keys.publicKey,
    keysSinceMs: clock.nowMs,
    roots: [root.publicKey],
    identity: identityOf(keys.publicKey, x25519Of(keys)),
    sealedBy,
    keys: [],
    trust: '',
    revisions: {},
  } as const;
  await folder.save(stored);
  const wallMs = () => clock.nowMs;
  const membership = createMembership({
    folder,
    stored,
    keys,
    wallMs,
    notKept: (error) => t.fail(String(error)),
  });
  const told = { replaceBeforeMs: undefined as number | undefined, epochs: [1], refuses: false };
  const log: string[] = [];
  const pauses: number[] = [];
  const bus = {
    up: true,
    async request(_subject: string, payload: Uint8Array) {
      requests += 1;
      const { message } = JSON.parse(Buffer.from(payload).toString());
      const { keyring } = membership;
      t.is(agentOfRenewal(message, MESH), 'a');
      const { nonce, next } = openRenewal(message, keyring.keys.publicKey, MESH, 'a');
      if (told.refuses) throw new Error('TIMEOUT');
      const key = next?.key ?? keyring.keys.publicKey;
      const x25519 = next?.x25519 ?? x25519Of(keyring.keys);
      const seal = sealTo(Buffer.from(x25519, 'base64url'), own.boxSecret);
      const sealed = told.epochs.map((epoch) => ({
        service: ORDERS,
        epoch,
        sealed: seal(serviceSecret(root, MESH, ORDERS, epoch)),
      }));
      const grant = signDocument(signingKey(root), 'weft-grant', {
        mesh: MESH,
        agent: 'a',
        nonce,
        timeMs: clock.nowMs,
        identity: identityOf(key, x25519),
        sealedBy,
        keys: sealed,
        trust: '',
        revisions: {},
      });
      return { payload: Buffer.from(JSON.stringify({ ok: true, response: { grant } })), status: 0 };
    },
  };
  let requests = 0;
  let reported = Promise.withResolvers<void>();
  const said = (what: string) => {
    log.push(what);
    reported.resolve();
  };
  const renewal = createRenewal({
    membership,
    served: [ORDERS],
    services: () => [ORDERS],
    replaceBeforeMs: () => told.replaceBeforeMs,
    now: wallMs,
    wallMs,
    random: () => 0,
    renewed: (_grant, why) => said(why),
    failed(_error, why, retryMs) {
      pauses.push(retryMs);
      said(`not ${why}`);
    },
  });
  renewal.attach(bus as unknown as Bus);
  /** Time passes, and the second is looked at; resolves when what it asks for has come to an end. */
  const asks = async (ms: number) => {
    clock.nowMs += ms;
    reported = Promise.withResolvers();
    renewal.tick();
    await reported.promise;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const asksNothing = async (ms: number) => {
    const before = requests;
    clock.nowMs += ms;
    renewal.tick();
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
    t.is(requests, before);
  };
  return { root, clock, folder, membership, told, log, pauses, renewal, asks, asksNothing };
}

test('an agent asks at its start, and at two thirds of its life', async (t) => {
  const { asks, asksNothing, log, membership } = await create(t);
  await asks(0);
  t.deepEqual(log, ['start']);
  await asksNothing((LIMITS.identityMs * 2) / 3 - 1_000);
  const { expiresAtMs } = membership.keyring.identity;
  await asks(2_000);
  t.deepEqual(log, ['start', 'age']);
  t.true(membership.keyring.identity.expiresAtMs > expiresAtMs);
  await asksNothing(1_000);
});

test('R1 an identity that cannot be renewed holds until its end, and is asked for ever more rarely', async (t) => {
  const { asks, asksNothing, pauses, told, membership, clock } = await create(t);
  told.refuses = true;
  await asks(0);
  while (pauses.length < 12) {
    await asksNothing((pauses.at(-1) ?? 0) - 1);
    await asks(1);
  }
  t.is(membership.keyring.fault, undefined);
  t.deepEqual(pauses.slice(0, 4), [500, 1_000, 2_000, 4_000]);
  t.is(Math.max(...pauses), LIMITS.renewalRetryMaxMs / 2);
  clock.nowMs += 24 * HOUR_MS;
  t.regex(membership.keyring.fault ?? '', /expired at/);
  // Now each second of it is one without service.
  await asks(0);
  t.true((pauses.at(-1) ?? 0) <= LIMITS.joinRetryMaxMs);
  told.refuses = false;
  await asks(LIMITS.joinRetryMaxMs);
  t.is(membership.keyring.fault, undefined);
});

test('a key that is published and not held is fetched', async (t) => {
  const { asks, log, membership, told, root, clock } = await create(t);
  const { keyring } = membership;
  await asks(0);
  t.true(keyring.canServe(ORDERS));
  const key = (epoch: number, fromMs: number) => publishedServiceKey(root, MESH, ORDERS, epoch, fromMs);
  keyring.published(ORDERS, [key(1, 0), key(2, clock.nowMs + 60_000)]);
  t.true(keyring.canServe(ORDERS), 'the present one is there');
  told.epochs = [1, 2];
  await asks(1_000);
  t.deepEqual(log, ['start', 'service key']);
  clock.nowMs += 60_000;
  t.true(keyring.canServe(ORDERS));
  t.is(keyring.serviceKey(ORDERS)?.epoch, 2);
  t.not(keyring.servicePrivateKey(ORDERS, 1), undefined, 'packets of the old epoch are on their way');
  clock.nowMs += LIMITS.serviceKeyOverlapMs + 1;
  t.is(keyring.servicePrivateKey(ORDERS, 1), undefined);
});

test('keys that are to be replaced are, and a lost answer is asked for with the same new ones', async (t) => {
  const { asks, asksNothing, log, membership, told, clock, folder } = await create(t);
  await asks(0);
  const before = membership.keyring.keys.publicKey;
  told.replaceBeforeMs = clock.nowMs + 1_000;
  told.refuses = true;
  await asks(2_000);
  const spare = (await folder.spareKeys())?.publicKey;
  t.not(spare, undefined);
  told.refuses = false;
  await asks(2_000);
  t.deepEqual(log, ['start', 'not new keys', 'new keys']);
  t.not(membership.keyring.keys.publicKey, before);
  t.is(membership.keyring.keys.publicKey, spare as string);
  await until(async () => (await folder.load())?.keys.publicKey === spare, 'they are on disk');
  await until(async () => (await folder.spareKeys()) === undefined, 'the old ones are gone');
  await asksNothing(2_000);
});

test('new keys that are being asked for stay on disk, whatever is kept of the agent meanwhile', async (t) => {
  const { membership, folder } = await create(t);
  const asking = membership.ask([ORDERS], true);
  membership.trustDisk.write('trust', 'trust.weft', 'a list');
  const { keys } = await asking;
  membership.trustDisk.write('trust', 'trust.weft', 'another list');
  await membership.trustDisk.settled();
  t.is((await folder.spareKeys())?.publicKey, keys.publicKey);
});

test('under traffic an identity is renewed again and again and no request fails', async (t) => {
  const mesh = await startEnrolledMesh(t, 4_000);
  const { granter, front, back } = mesh;
  const first = { front: front.membership.keyring.identity, back: back.membership.keyring.identity };
  const answers = new Set<string>();
  const renewals = (host: string) => granter.asked.filter((one) => one === `renew ${host}`).length;
  const untilMs = Math.max(first.front.expiresAtMs, first.back.expiresAtMs) + 1_000;
  // Its first packets are long over when the identities of then have ended.
  const sent = request({ host: '127.0.0.1', port: front.door, path: '/hold', headers: { host: 'orders' } });
  t.teardown(() => sent.destroy());
  sent.on('error', () => {});
  sent.end();
  const [response] = await once(sent, 'response');
  let broken = false;
  response.on('error', () => {
    broken = true;
  });
  for (let count = 0; Date.now() < untilMs || renewals('front') < 3 || renewals('back') < 3; count++) {
    answers.add(await mesh.call(count % 2 === 0 ? 'GET' : 'POST'));
  }
  t.deepEqual([...answers], ['200 served']);
  t.true(front.agent.ready && back.agent.ready);
  t.false(broken);
  for (const { agent } of [front, back]) {
    const refused = await agent.registry.getSingleMetric('weft_packets_refused_total')?.get();
    t.deepEqual(refused?.values, [], 'no packet was refused');
  }
});

test('an agent whose identity has ended neither calls nor serves, says so, and comes back by itself', async (t) => {
  const mesh = await startEnrolledMesh(t, 2_000);
  const { granter, front, back } = mesh;
  t.is(await mesh.call(), '200 served');
  granter.settings.away = true;
  await until(() => !front.agent.ready && !back.agent.ready, 'both have ended');
  const before = mesh.requests();
  t.is(await mesh.call(), '503 identity_invalid');
  t.is(mesh.requests(), before);
  t.regex(front.agent.reason ?? '', /expired at .*not renewed; is the controller there/);
  granter.settings.away = false;
  granter.settings.lifeMs = HOUR_MS;
  await until(() => front.agent.ready && back.agent.ready, 'both are back');
  await until(() => granter.introductionOf('back') === back.membership.keyring.document, 'it is heard');
  await granter.publishList(ORDERS, ['back']);
  await until(async () => (await mesh.call()) === '200 served', 'it is served');
});
