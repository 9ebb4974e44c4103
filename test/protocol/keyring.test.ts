import { createPublicKey } from 'node:crypto';
import test from 'ava';
import { WeftError } from '../../src/protocol/errors.ts';
import { HeaderTemplate, readHeader } from '../../src/protocol/packet.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { derivePacketKey, openPacket, sealPacket } from '../../src/protocol/seal.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';

const HOUR_MS = 3_600_000;
const { seed } = createRoot();

function keyring(agent: string, workloads: string[], now = () => 1_800_000_000_000, rootSeed = seed) {
  return createRootKeyring({ rootSeed, mesh: 'shop', agent, workloads, now });
}

test('a request sealed for a service opens at every agent that serves it, and the answer at who asked', (t) => {
  const web = keyring('web-1', ['checkout.default']);
  const key = web.serviceKey('orders.default')!;
  const request = {
    sender: 'web-1',
    session: '0123456789abcdef',
    audience: 'orders.default',
    toService: true,
    epoch: key.epoch,
  };
  const header = new HeaderTemplate({ ...request, document: web.document }).stamp(1, 1);
  const sealing = derivePacketKey({
    ...request,
    mesh: 'shop',
    privateKey: web.privateKey,
    publicKey: key.publicKey,
  });
  const packet = sealPacket(sealing, header, 's', 1, Buffer.from('hello'));

  for (const agent of ['db-1', 'db-2']) {
    const serving = keyring(agent, ['orders.default']);
    const read = readHeader(packet);
    const peer = serving.verify(read.document!);
    t.is(peer.agent, 'web-1');
    t.true(peer.workloads.has('checkout.default'));
    const privateKey = serving.servicePrivateKey(read.audience, read.epoch)!;
    const opening = derivePacketKey({ ...read, mesh: 'shop', privateKey, publicKey: peer.publicKey });
    t.is(openPacket(opening, packet, read.length, 's', read.counter).toString(), 'hello');

    const answer = { ...request, sender: agent, audience: 'web-1', toService: false, epoch: 0 };
    const there = derivePacketKey({
      ...answer,
      mesh: 'shop',
      privateKey: serving.privateKey,
      publicKey: peer.publicKey,
    });
    const back = derivePacketKey({
      ...answer,
      mesh: 'shop',
      privateKey: web.privateKey,
      publicKey: web.verify(serving.document).publicKey,
    });
    t.true(there.equals(back));
  }
});

test('an agent holds no private key of a service that it does not serve, nor of another epoch', (t) => {
  const web = keyring('web-1', ['checkout.default']);
  t.is(web.servicePrivateKey('orders.default', 1), undefined);
  t.is(web.servicePrivateKey('checkout.default', 2), undefined);
  t.not(web.servicePrivateKey('checkout.default', 1), undefined);
});

test('every agent of the mesh sees the same service key, and another mesh root another one', (t) => {
  const web = keyring('web-1', ['checkout.default']).serviceKey('orders.default')!;
  const db = keyring('db-1', ['orders.default']);
  t.true(db.serviceKey('orders.default')!.publicKey.equals(web.publicKey));
  const own = db.servicePrivateKey('orders.default', web.epoch)!;
  t.true(createPublicKey(own).equals(web.publicKey));
  t.false(db.serviceKey('billing.default')!.publicKey.equals(web.publicKey));
  const other = keyring('web-1', [], undefined, createRoot().seed);
  t.false(other.serviceKey('orders.default')!.publicKey.equals(web.publicKey));
});

test('what is no service has no key', (t) => {
  const web = keyring('web-1', []);
  for (const name of ['', 'orders', 'a.b.c', 'Orders.default']) t.is(web.serviceKey(name), undefined);
});

test('the identity document is renewed at two thirds of its life', (t) => {
  let now = 1_800_000_000_000;
  const web = keyring('web-1', ['checkout.default'], () => now);
  const first = web.document;
  const { expiresAtMs } = web.verify(first);
  t.is(expiresAtMs, now + 24 * HOUR_MS);
  now += 16 * HOUR_MS - 1;
  t.is(web.document, first);
  now += 1;
  t.not(web.document, first);
  t.is(web.verify(web.document).expiresAtMs, now + 24 * HOUR_MS);
  now = expiresAtMs;
  t.throws(() => web.verify(first), { instanceOf: WeftError });
});

test('a document of another mesh root is denied', (t) => {
  const stranger = keyring('web-1', [], undefined, createRoot().seed);
  const error = t.throws(() => keyring('db-1', []).verify(stranger.document), { instanceOf: WeftError });
  t.is(error.code, 'denied');
});
