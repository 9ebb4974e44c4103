/** What is sealed for a service: others than its sender can seal so too, and so its sender signs it (P5). */
import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import type { Lane } from '../../src/agent/link/lane.ts';
import { Peers } from '../../src/agent/link/peers.ts';
import { Sealer } from '../../src/agent/link/sealer.ts';
import { createAgentKeyring } from '../../src/agent/trust/agent-keyring.ts';
import { type AgentKeys, createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { sealTo } from '../../src/protocol/enrolment.ts';
import { signEvidence } from '../../src/protocol/evidence.ts';
import { evidenceFrameBytes, FLAG, FrameWriter, TYPE } from '../../src/protocol/frames.ts';
import { issueIdentity } from '../../src/protocol/identity.ts';
import type { Keyring } from '../../src/protocol/keyring.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { HeaderTemplate } from '../../src/protocol/packet.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { derivePacketKey, sealPacket } from '../../src/protocol/seal.ts';
import { publishedServiceKey, serviceSecret } from '../../src/protocol/service-key.ts';
import { serviceSubject } from '../../src/protocol/subjects.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';
import { Ear, HEAD, Network, type Node, SERVICE, settle } from './pair.ts';

const CALLER = 'checkout.default';
const OTHER = 'payments.default';
const SUBJECT = serviceSubject('test', SERVICE);
const SESSION = '0123456789abcdef';
const REASON = /^[a-z]+/;

/** `back` serves both services, `stolen` has the key of one of them, `front` calls. */
function mesh() {
  const network = new Network();
  const back = network.join('back', [SERVICE, OTHER], [SERVICE, OTHER]);
  const front = network.join('front', [CALLER]);
  const stolen = network.join('stolen', [SERVICE]);
  return { network, back, front, stolen };
}

const reasons = ({ refused }: Node) => refused.map((one) => REASON.exec(one)?.[0]);

interface Said {
  readonly subject?: string;
  readonly counter?: number;
  readonly session?: string;
  /** Who signs; nobody if undefined. */
  readonly signEvidence?: Keyring['signEvidence'];
}

/** A packet for any endpoint of SERVICE as its caller makes it, sealed with the key of the service instead of the caller's own. */
function forged({ network, stolen }: ReturnType<typeof mesh>, caller: Node, plain: Buffer, said: Said = {}) {
  const { subject = SUBJECT, counter = 1, session = SESSION, signEvidence: signs } = said;
  const { document } = caller.keyring;
  const context = { sender: caller.keyring.agent, session, audience: SERVICE, toService: true, epoch: 1 };
  const privateKey = stolen.keyring.servicePrivateKey(SERVICE, 1);
  if (privateKey === undefined) throw new Error('it has the key');
  const { publicKey } = stolen.keyring.verify(document);
  const key = derivePacketKey({ ...context, mesh: 'test', privateKey, publicKey });
  const bare = new HeaderTemplate(context).stamp(network.nowMs, counter);
  if (signs !== undefined) {
    const frames = plain.subarray(evidenceFrameBytes(SERVICE));
    plain.set(signs({ service: SERVICE, subject, header: bare, frames }), 10);
  }
  const header = new HeaderTemplate({ ...context, document }).stamp(network.nowMs, counter);
  network.bus.publish(subject, sealPacket(key, header, subject, counter, plain));
}

/** Frames, with room for a signature before them. */
function frames(write: (writer: FrameWriter) => void, signed = true): Buffer {
  const writer = new FrameWriter();
  if (signed) writer.evidence(SERVICE, FLAG.ONE_WAY);
  write(writer);
  return writer.bytes();
}

const request = (writer: FrameWriter, head = HEAD, last = true) =>
  writer.text(TYPE.REQUEST, FLAG.OPENER | (last ? FLAG.LAST : 0), 1, head);

test('who has the key of a service asks in the name of nobody else', async (t) => {
  const all = mesh();
  const { back, front, stolen } = all;
  forged(
    all,
    front,
    frames((to) => request(to), false),
  );
  const wrong: Keyring['signEvidence'][] = [
    stolen.keyring.signEvidence,
    () => Buffer.alloc(64),
    (packet) => front.keyring.signEvidence({ ...packet, service: OTHER }),
    (packet) => front.keyring.signEvidence({ ...packet, frames: Buffer.from('others') }),
    (packet) => front.keyring.signEvidence({ ...packet, subject: serviceSubject('test', OTHER) }),
    (packet) => front.keyring.signEvidence({ ...packet, header: packet.header.fill(1, 18, 26) }),
  ];
  for (const signs of wrong) forged(all, front, frames(request), { signEvidence: signs });
  await settle();
  t.deepEqual(reasons(back), Array(wrong.length + 1).fill('evidence'));
  t.is(back.served.length, 0);
  t.is(back.link.counts().peers, 0);
});

test('a signature about another service is none', async (t) => {
  const all = mesh();
  const { back, front } = all;
  const writer = new FrameWriter();
  writer.evidence(OTHER, FLAG.ONE_WAY);
  request(writer);
  forged(all, front, writer.bytes());
  await settle();
  t.deepEqual(reasons(back), ['evidence']);
  t.is(back.served.length, 0);
});

test('a forged packet keeps no packet out of who it names', async (t) => {
  const all = mesh();
  const { back, front } = all;
  const { session } = front.link;
  front.link.openToService(SERVICE, HEAD, true, new Ear(), 1);
  await settle();
  forged(all, front, frames(request), { counter: 1_000_000, session });
  await settle();
  front.link.openToService(SERVICE, HEAD, true, new Ear(), 1);
  await settle();
  t.deepEqual(reasons(back), ['evidence']);
  t.is(back.served.length, 2);
});

test('a signed packet for a service is taken on the subject of the service alone', async (t) => {
  const all = mesh();
  const { network, back, front } = all;
  const { signEvidence: signs } = front.keyring;
  const elsewhere = [
    `weft.test.rx.back.${back.link.session}`,
    'weft.test.ins.default.orders.back',
    serviceSubject('test', OTHER),
  ];
  for (const subject of elsewhere) forged(all, front, frames(request), { subject, signEvidence: signs });
  await settle();
  t.deepEqual(reasons(back), ['audience', 'audience', 'audience']);
  t.is(back.served.length, 0);
  forged(all, front, frames(request), { signEvidence: signs });
  await settle();
  t.is(back.served.length, 1);
  t.is(network.bus.published.length, 4);
});

test('a packet for a service asks no other service of the same agent', async (t) => {
  const all = mesh();
  const { back, front } = all;
  const { signEvidence: signs } = front.keyring;
  const both = frames((to) => {
    request(to);
    to.text(TYPE.REQUEST, FLAG.OPENER | FLAG.LAST, 2, HEAD.replace(SERVICE, OTHER));
  });
  forged(all, front, both, { signEvidence: signs });
  await settle();
  t.deepEqual(reasons(back), ['audience']);
  t.is(back.served.length, 0);
});

test('a packet for a service opens requests, with what there is of their bodies, and nothing else', async (t) => {
  const all = mesh();
  const { back, front } = all;
  const { signEvidence: signs } = front.keyring;
  const others: ((to: FrameWriter) => void)[] = [
    (to) => to.text(TYPE.RESPONSE, FLAG.LAST, 1, '200 Forged\r\n'),
    (to) => to.text(TYPE.INFORMATIONAL, 0, 1, '103 Early Hints\r\n'),
    (to) => to.accept(0, 1),
    (to) => to.credit(FLAG.OPENER, 1, 100),
    (to) => to.reset(FLAG.OPENER, 1, 'cancelled', ''),
    (to) => to.reset(0, 1, 'cancelled', ''),
    (to) => to.data(0, 1, 0, Buffer.from('x')),
    (to) => to.data(FLAG.OPENER, 2, 0, Buffer.from('x')),
    (to) => to.end(FLAG.OPENER, 2, 0, ''),
  ];
  for (const [at, write] of others.entries()) {
    const plain = frames((to) => {
      request(to, HEAD, false);
      write(to);
    });
    forged(all, front, plain, { counter: at + 1, signEvidence: signs });
  }
  await settle();
  t.deepEqual(
    reasons(back),
    others.map(() => 'frames'),
  );
  t.is(back.served.length, 0);
  const whole = frames((to) => {
    request(to, HEAD, false);
    to.data(FLAG.OPENER, 1, 0, Buffer.from('body'));
    to.end(FLAG.OPENER, 1, 4, '');
  });
  forged(all, front, whole, { counter: others.length + 1, signEvidence: signs });
  await settle();
  t.deepEqual(back.served[0]?.ear.heard, ['end']);
  t.is(back.served[0]?.ear.bytes, 4);
});

test('nobody answers in the name of an endpoint with the key of a service', async (t) => {
  const all = mesh();
  const { network, back, front } = all;
  const caller = network.join('caller', [SERVICE]);
  const ear = new Ear();
  caller.link.openToService(OTHER, HEAD.replace(SERVICE, OTHER), true, ear, 1);
  await settle();
  const subject = `weft.test.rx.caller.${caller.link.session}`;
  const answer = frames((to) => to.text(TYPE.RESPONSE, FLAG.LAST, 1, '200 Forged\r\n'), false);
  forged(all, back, answer, { subject });
  await settle();
  t.deepEqual(ear.heard, []);
  t.deepEqual(reasons(caller), ['audience']);
  t.deepEqual(front.refused, []);
});

test('the answer to a request that is signed for its sender alone is not signed, and nothing of it is kept', async (t) => {
  const { network, back, front } = mesh();
  const ear = new Ear();
  front.link.openToService(SERVICE, HEAD, true, ear, 1);
  await settle();
  back.served[0]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(ear.heard, ['response 200 OK last']);
  const endpoint = front.keyring.verify(back.keyring.document);
  front.link.openToInstance(SERVICE, endpoint, HEAD, true, new Ear());
  await settle();
  back.served[1]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  const [, first, , second] = network.bus.published.map(({ payload }) => payload.length);
  // The first answer brings along the introduction; neither has a signature.
  t.is((first ?? 0) - (second ?? 0), 2 + back.keyring.document.length);
  t.deepEqual([...back.proven, ...front.proven], []);
});

/** A keyring of an enrolled agent with the keys of SERVICE of these epochs, and what replaces its parts. */
function enrolled(agent: string, rootSeed: string, epochs: readonly number[], now: () => number) {
  const root = readRoot(rootSeed);
  const box = generateKeyPairSync('x25519');
  const granted = (keys: AgentKeys, lasts = LIMITS.identityMs) => ({
    identity: issueIdentity(root, 'test', {
      agent,
      signingKey: keys.publicKey,
      boxKey: keys.boxKey,
      workloads: new Set([SERVICE]),
      issuedAtMs: now(),
      expiresAtMs: now() + lasts,
    }),
    sealedBy: box.publicKey.export({ format: 'jwk' }).x ?? '',
    keys: epochs.map((epoch) => {
      const secret = Buffer.from(box.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url');
      const sealed = sealTo(keys.boxKey, secret)(serviceSecret(root, 'test', SERVICE, epoch));
      return { service: SERVICE, epoch, sealed };
    }),
  });
  const keys = createAgentKeys();
  const first = granted(keys);
  const { identity } = first;
  const keyring = createAgentKeyring({ mesh: 'test', agent, keys, identity, roots: [root.publicKey], now });
  keyring.take(first, keys);
  const publish = (epoch: number) =>
    keyring.published(SERVICE, [publishedServiceKey(root, 'test', SERVICE, epoch, now())]);
  return { keyring, publish, granted };
}

function sealerTo(keyring: Keyring, session: string, wallMs: () => number): Sealer {
  const key = keyring.serviceKey(SERVICE);
  if (key === undefined) throw new Error('it is published');
  return new Sealer(keyring, session, { name: SERVICE, toService: true, ...key }, wallMs);
}

test('a service key that was replaced opens nothing of a session that it has opened packets of', (t) => {
  const network = new Network();
  const now = () => network.nowMs;
  const { keyring, publish } = enrolled('back', network.seed, [1, 2], now);
  const laneTo = () => ({ sealer: {} }) as Lane;
  const peers = new Peers({ keyring, wallMs: now, isEarly: () => false, laneTo });
  const caller = createRootKeyring({
    rootSeed: network.seed,
    mesh: 'test',
    agent: 'front',
    workloads: [],
    now,
  });
  publish(1);
  const sealer = sealerTo(caller, SESSION, now);
  const packet = (counter: number) => sealer.seal(SUBJECT, counter, frames(request), true);
  peers.open(packet(1), SUBJECT);
  publish(2);
  network.nowMs += LIMITS.serviceKeyOverlapMs;
  t.is(peers.open(packet(2), SUBJECT).peer.identity.agent, 'front');
  network.nowMs += 1;
  t.throws(() => peers.open(packet(3), SUBJECT), {
    message: 'the packet is for orders.default, epoch 1',
  });
});

test('a service key that was replaced opens nothing however many other services are called', (t) => {
  const network = new Network();
  const { keyring, publish } = enrolled('back', network.seed, [1, 2], () => network.nowMs);
  publish(1);
  t.truthy(keyring.servicePrivateKey(SERVICE, 1));
  publish(2);
  network.nowMs += LIMITS.serviceKeyOverlapMs + 1;
  for (let i = 0; i <= LIMITS.servicesKnownMax; i++) keyring.published(`s${i}.default`, []);
  t.is(keyring.servicePrivateKey(SERVICE, 1), undefined);
  t.truthy(keyring.servicePrivateKey(SERVICE, 2));
});

test('a caller that has got other keys meanwhile signs with them, and is known by what it shows', (t) => {
  const network = new Network();
  const now = () => network.nowMs;
  const back = enrolled('back', network.seed, [1], now);
  const laneTo = () => ({ sealer: {} }) as Lane;
  const peers = new Peers({ keyring: back.keyring, wallMs: now, isEarly: () => false, laneTo });
  const caller = enrolled('front', network.seed, [], now);
  back.publish(1);
  caller.publish(1);
  const sealer = sealerTo(caller.keyring, SESSION, now);
  peers.open(sealer.seal(SUBJECT, 1, frames(request), true), SUBJECT);
  const { signingKey } = caller.keyring.keys;
  const next = createAgentKeys();
  network.nowMs += 60_000;
  caller.keyring.take(caller.granted(next), next);
  const { peer } = peers.open(sealer.seal(SUBJECT, 2, frames(request), true), SUBJECT);
  t.true(peer.identity.signingKey.equals(verificationKey(next.publicKey)));
  const signsAsBefore: Keyring = {
    ...caller.keyring,
    signEvidence: (packet) => signEvidence(signingKey, 'test', packet),
  };
  const former = sealerTo(signsAsBefore, SESSION, now);
  t.throws(() => peers.open(former.seal(SUBJECT, 3, frames(request), true), SUBJECT), {
    message: /signature/,
  });
});
