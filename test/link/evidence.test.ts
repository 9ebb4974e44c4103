/** Signed packets: what a stream that asks for evidence takes, and what others notice of it: nothing. */
import test from 'ava';
import { Sealer } from '../../src/agent/link/sealer.ts';
import type { Stream } from '../../src/agent/link/stream.ts';
import { checkEvidence, type EvidenceRecord, readEvidenceLine } from '../../src/protocol/evidence-record.ts';
import { evidenceFrameBytes, FLAG, FrameWriter, readFrames, TYPE } from '../../src/protocol/frames.ts';
import type { Keyring } from '../../src/protocol/keyring.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { Ear, HEAD, Network, type Node, SERVICE, type Served, settle } from './pair.ts';

const CALLER = 'checkout.default';
const BILLING = 'billing.default';

function pair(demanding: readonly string[] = [SERVICE]) {
  const network = new Network();
  for (const service of demanding) network.demanding.add(service);
  const back = network.join('back', [SERVICE, BILLING], [SERVICE, BILLING]);
  const front = network.join('front', [CALLER]);
  return { network, back, front };
}

function open(node: Node, { last = true, signed = true, service = SERVICE } = {}) {
  const ear = new Ear();
  const head = HEAD.replace(SERVICE, service);
  return { ear, stream: node.link.openToService(service, head, last, ear, 1, signed) };
}

/** What was proven, checked with the root alone: the sender and the types of the frames. */
function proofs(network: Network, node: Node): { from: string; service: string; types: number[] }[] {
  const root = verificationKey(readRoot(network.seed).publicKey);
  return node.proven.map(({ service, line }) => {
    const record: EvidenceRecord = readEvidenceLine(line);
    const { sender } = checkEvidence(root, record);
    const types: number[] = [];
    readFrames(record.frames, { frame: (type) => void types.push(type) });
    return { from: sender.agent, service, types };
  });
}

/** Bytes of the largest packet. */
const largest = ({ bus }: Network) => Math.max(...bus.published.map(({ payload }) => payload.length));

const reasons = ({ refused }: Node) => refused.map((reason) => reason.split(':', 1)[0]);

test('request and response of a service that asks for it are evidence at the side that gets them', async (t) => {
  const { network, back, front } = pair();
  const { ear, stream } = open(front, { last: false });
  await settle();
  stream.sendData(Buffer.from('body'));
  stream.sendEnd('');
  await settle();
  back.served[0]?.stream.sendResponse('200 OK\r\n', false);
  back.served[0]?.stream.sendData(Buffer.from('answer'));
  back.served[0]?.stream.sendEnd('');
  await settle();
  t.deepEqual(ear.heard, ['response 200 OK', 'end']);
  t.deepEqual(proofs(network, back), [
    { from: 'front', service: SERVICE, types: [TYPE.REQUEST] },
    { from: 'front', service: SERVICE, types: [TYPE.DATA, TYPE.END] },
  ]);
  t.deepEqual(proofs(network, front), [
    { from: 'back', service: SERVICE, types: [TYPE.RESPONSE, TYPE.DATA, TYPE.END] },
  ]);
  t.deepEqual([...back.refused, ...front.refused], []);
});

test('so are requests to one endpoint', async (t) => {
  const { network, back, front } = pair();
  const ear = new Ear();
  const endpoint = front.keyring.verify(back.keyring.document);
  front.link.openToInstance(SERVICE, endpoint, HEAD, true, ear, true);
  await settle();
  back.served[0]?.stream.sendResponse('204 No Content\r\n', true);
  await settle();
  t.deepEqual(ear.heard, ['response 204 No Content last']);
  t.deepEqual(proofs(network, back), [{ from: 'front', service: SERVICE, types: [TYPE.REQUEST] }]);
  t.deepEqual(proofs(network, front), [{ from: 'back', service: SERVICE, types: [TYPE.RESPONSE] }]);
});

test('a body of many packets is signed in each of them, and none is larger than the bus takes', async (t) => {
  const { network, back, front } = pair();
  network.bus.payloadBytesMax = 48 * 1024;
  const { stream } = open(front, { last: false });
  await settle();
  const body = Buffer.alloc(200 * 1024, 'x');
  stream.sendData(body);
  stream.sendEnd('');
  await settle();
  t.is(back.served[0]?.ear.bytes, body.length);
  t.deepEqual(back.served[0]?.ear.heard, ['end']);
  t.true(proofs(network, back).length > 4);
  t.true(largest(network) <= 48 * 1024);
});

test('the largest head of a signed request fits its packet', async (t) => {
  const { network, back, front } = pair();
  network.bus.payloadBytesMax = 20 * 1024;
  open(front);
  await settle();
  const overhead = (network.bus.published[0]?.payload.length ?? 0) - HEAD.length;
  const fits = (bytes: number) => {
    const head = `${HEAD}x: ${'y'.repeat(bytes)}\r\n`;
    front.link.openToService(SERVICE, head, true, new Ear(), 1, true);
  };
  t.throws(() => fits(20 * 1024 - overhead), { code: 'head_too_large' } as object);
  fits(20 * 1024 - overhead - HEAD.length - 64);
  await settle();
  t.is(back.served.length, 2);
  t.true(largest(network) <= 20 * 1024);
});

test('an unsigned request to a service that asks for evidence is refused with the reason, in signed words', async (t) => {
  const { network, back, front } = pair();
  const { ear } = open(front, { signed: false });
  await settle();
  t.deepEqual(ear.heard, ['reset evidence_missing']);
  t.deepEqual(back.refused, [`evidence: front, about ${SERVICE}: this one is not`]);
  t.deepEqual(proofs(network, back), []);

  // Now it knows, whatever it has been published.
  const again = open(front, { signed: false });
  await settle();
  back.served[1]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(again.ear.heard, ['response 200 OK last']);
  t.is(proofs(network, back).length, 1);
  network.nowMs += LIMITS.signAskedMs;
  network.demanding.clear();
  open(front, { signed: false });
  await settle();
  t.is(back.served.length, 3);
  back.served[2]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  // Who signs is answered with signatures.
  t.is(front.proven.length, 1);
});

test('evidence about another service is none', async (t) => {
  const { network, back, front } = pair();
  // The request names `orders` in its head, and says in its evidence that it is about `billing`.
  const endpoint = front.keyring.verify(back.keyring.document);
  front.link.openToInstance(BILLING, endpoint, HEAD, true, new Ear(), true);
  await settle();
  t.deepEqual(back.refused, [`evidence: front, about ${SERVICE}: this one is signed as one of ${BILLING}`]);
  t.deepEqual(proofs(network, back), []);
});

test('an unsigned response to who asked for evidence ends the request, and nothing of it is heard', async (t) => {
  const { back, front, network } = pair([]);
  const { ear } = open(front);
  await settle();
  // It does as it likes: the response leaves on the lane of what is not signed.
  const plain = new FrameWriter();
  plain.text(TYPE.RESPONSE, FLAG.LAST, 1, '200 Unsigned\r\n');
  forge(network, back.keyring, front, plain.bytes(), false);
  await settle();
  t.deepEqual(ear.heard, ['reset stream_protocol']);
  t.deepEqual(reasons(front), ['evidence']);
  t.deepEqual(front.proven, []);
});

test('a signature that is wrong, or of somebody else, is none', async (t) => {
  const { network, back, front } = pair([]);
  const other = network.join('other', [SERVICE]);
  const wrong: Keyring['signEvidence'][] = [
    () => Buffer.alloc(64),
    (packet) => back.keyring.signEvidence({ ...packet, frames: Buffer.from('other frames') }),
    (packet) => back.keyring.signEvidence({ ...packet, subject: 'elsewhere' }),
    (packet) => other.keyring.signEvidence(packet),
  ];
  for (const [at, signEvidence] of wrong.entries()) {
    const { ear } = open(front);
    await settle();
    const frames = new FrameWriter();
    frames.evidence(SERVICE);
    frames.text(TYPE.RESPONSE, FLAG.LAST, idOf(back, at), '200 Forged\r\n');
    forge(network, { ...keyringOf(back), signEvidence }, front, frames.bytes(), true);
    await settle();
    t.deepEqual(ear.heard, ['reset stream_protocol'], String(at));
  }
  t.deepEqual(
    reasons(front),
    wrong.map(() => 'evidence'),
  );
  t.deepEqual(front.proven, []);
  // The same way with the right signature is taken.
  const { ear } = open(front);
  await settle();
  const frames = new FrameWriter();
  frames.evidence(SERVICE);
  frames.text(TYPE.RESPONSE, FLAG.LAST, idOf(back, wrong.length), '200 Right\r\n');
  forge(network, back.keyring, front, frames.bytes(), true);
  await settle();
  t.deepEqual(ear.heard, ['response 200 Right last']);
});

test('unsigned pieces of a signed request end it at both ends', async (t) => {
  const { network, back, front } = pair();
  const { ear } = open(front, { last: false });
  await settle();
  const frames = new FrameWriter();
  frames.data(FLAG.OPENER, 1, 0, Buffer.from('unsigned'));
  forge(network, front.keyring, back, frames.bytes(), false, front.link.session);
  await settle();
  t.deepEqual(back.served[0]?.ear.heard, ['reset stream_protocol']);
  t.is(back.served[0]?.ear.bytes, 0);
  t.deepEqual(ear.heard, ['reset stream_protocol']);
});

test('who signs is answered with signatures, also by an agent that does not know yet that it has to', async (t) => {
  const { network, back, front } = pair([]);
  const { ear } = open(front);
  await settle();
  back.served[0]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(ear.heard, ['response 200 OK last']);
  t.deepEqual(proofs(network, front), [{ from: 'back', service: SERVICE, types: [TYPE.RESPONSE] }]);
  t.deepEqual(back.proven, []);
});

test('what is said to different services is proven in different packets', async (t) => {
  const { network, back, front } = pair([SERVICE, BILLING]);
  open(front);
  open(front, { service: BILLING });
  open(front, { service: BILLING, signed: false });
  await settle();
  for (const { stream } of back.served) stream.sendResponse('200 OK\r\n', true);
  await settle();
  const both = [SERVICE, BILLING].map((service) => ({ from: 'back', service, types: [TYPE.RESPONSE] }));
  t.deepEqual(proofs(network, front), both);
});

test('where nobody asks for evidence packets to one process are as they were', async (t) => {
  const exchanged = async (signed: boolean) => {
    const { network, back, front } = pair([]);
    const ear = new Ear();
    const endpoint = front.keyring.verify(back.keyring.document);
    front.link.openToInstance(SERVICE, endpoint, HEAD, true, ear, signed);
    await settle();
    back.served[0]?.stream.sendResponse('200 OK\r\n', true);
    await settle();
    t.deepEqual(ear.heard, ['response 200 OK last']);
    const sizes = network.bus.published.map(({ payload }) => payload.length);
    return { sizes, proven: [...back.proven, ...front.proven] };
  };
  const plain = await exchanged(false);
  const signed = await exchanged(true);
  t.deepEqual(
    signed.sizes,
    plain.sizes.map((bytes) => bytes + evidenceFrameBytes(SERVICE)),
  );
  t.deepEqual(plain.proven, []);
});

/** A keyring whose parts may be replaced; its getters are read once. */
function keyringOf({ keyring }: Node): Keyring {
  return { ...keyring, document: keyring.document };
}

/** The id under which the caller waits for the answer to its nth request. */
function idOf(back: Node, at: number): number {
  const { stream } = back.served[at] as Served;
  return (stream as Stream & { id: number }).id;
}

let forged = 0;

/** Sends a packet of `frames` to where `to` listens for answers, as the process that the keyring is of. */
function forge(
  network: Network,
  keyring: Keyring,
  to: Node,
  frames: Buffer,
  signed: boolean,
  session = '0123456789abcdef',
): void {
  const { publicKey } = keyring.verify(to.keyring.document);
  const { agent } = to.keyring;
  const audience = { name: agent, toService: false, epoch: 0, publicKey };
  const sealer = new Sealer(keyring, session, audience, () => network.nowMs);
  const subject = `weft.test.rx.${agent}.${to.link.session}`;
  forged += 1;
  network.bus.publish(subject, sealer.seal(subject, 1000 + forged, frames, signed));
}
