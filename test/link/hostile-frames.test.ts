/** Frames that are well formed, of a peer that may send them, and that no honest agent sends. */
import test from 'ava';
import type { LinkStream } from '../../src/agent/link/stream.ts';
import { FLAG } from '../../src/protocol/frames.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { Ear, HEAD, Network, type Node, SERVICE, type Served, settle } from './pair.ts';

/** A stream over the bus, as both sides have it, and a way to write any frame to it. */
async function open() {
  const network = new Network();
  const back = network.join('back', [SERVICE], [SERVICE]);
  const front = network.join('front', ['checkout.default']);
  const nearEar = new Ear();
  const near = front.link.openToService(SERVICE, HEAD, false, nearEar, 1) as LinkStream;
  await settle();
  const { stream, ear: farEar } = back.served[0] as Served;
  const far = stream as LinkStream;
  const left = () => [front, back].map(({ link }) => link.counts().opened + link.counts().served);
  return { near, nearEar, far, farEar, left };
}

const VIOLATED = 'reset stream_protocol';

test('a second response ends the stream at both ends', async (t) => {
  const { nearEar, far, farEar, left } = await open();
  far.sendResponse('200 OK\r\n', false);
  far.sendResponse('200 Poison\r\n', false);
  await settle();
  t.deepEqual(nearEar.heard, ['response 200 OK', VIOLATED]);
  t.deepEqual(farEar.heard, [VIOLATED]);
  t.deepEqual(left(), [0, 0]);
});

test('an informational response after the response ends the stream', async (t) => {
  const { nearEar, far, left } = await open();
  far.sendResponse('200 OK\r\n', false);
  far.sendInformational('103 Early Hints\r\n');
  await settle();
  t.deepEqual(nearEar.heard, ['response 200 OK', VIOLATED]);
  t.deepEqual(left(), [0, 0]);
});

test('informational responses without end are cut off at the limit', async (t) => {
  const { nearEar, far, left } = await open();
  for (let count = 0; count <= LIMITS.informationalMax; count++) far.sendInformational('103 Early Hints\r\n');
  await settle();
  t.is(nearEar.heard.length, LIMITS.informationalMax + 1);
  t.is(nearEar.heard.at(-1), VIOLATED);
  t.deepEqual(left(), [0, 0]);
});

test('data without a byte, which costs no credit, ends the stream', async (t) => {
  const { near, far, farEar, left } = await open();
  let handed = 0;
  farEar.onData = () => {
    handed += 1;
  };
  for (let count = 0; count < 3; count++) {
    near.lane?.writer(0).data(FLAG.OPENER, near.id, 0, Buffer.alloc(0));
  }
  await settle();
  t.is(handed, 0);
  t.deepEqual(farEar.heard, [VIOLATED]);
  t.is(far.peer, 'front');
  t.deepEqual(left(), [0, 0]);
});

test('more data than there is credit for ends the stream', async (t) => {
  const { near, farEar, left } = await open();
  const chunk = Buffer.alloc(LIMITS.streamWindowBytes / 2);
  for (let sent = 0; sent <= 2; sent++) {
    near.lane?.writer(chunk.length).data(FLAG.OPENER, near.id, sent * chunk.length, chunk);
  }
  await settle();
  t.deepEqual(farEar.heard, [VIOLATED]);
  t.is(farEar.bytes, LIMITS.streamWindowBytes);
  t.deepEqual(left(), [0, 0]);
});

test('more credit than a window holds ends the stream', async (t) => {
  const { near, nearEar, far, left } = await open();
  far.lane?.writer(0).credit(0, near.id, 0xffffffff);
  await settle();
  t.deepEqual(nearEar.heard, [VIOLATED]);
  t.deepEqual(left(), [0, 0]);
});

/** `count` processes of one agent that each ask once. */
async function crowd(network: Network, count: number): Promise<Ear[]> {
  const ears: Ear[] = [];
  for (let at = 0; at < count; at++) {
    const node: Node = network.join('evil', ['ads.default']);
    const ear = new Ear();
    node.link.openToService(SERVICE, HEAD, true, ear, 1);
    ears.push(ear);
    await settle();
  }
  return ears;
}

test('an agent that comes with ever new sessions drives out its own, and no more are kept', async (t) => {
  const network = new Network();
  const back = network.join('back', [SERVICE], [SERVICE]);
  const front = network.join('front', ['checkout.default']);
  const ear = new Ear();
  front.link.openToService(SERVICE, HEAD, true, ear, 1);
  await settle();
  const answer = async () => {
    for (const { stream } of back.served.splice(0)) stream.sendResponse('200 OK\r\n', true);
    await settle();
  };
  for (let round = 0; round < LIMITS.sessionsPerAgentMax + 4; round++) {
    const [evil] = await crowd(network, 1);
    await answer();
    t.deepEqual(evil?.heard, ['response 200 OK last']);
  }
  t.deepEqual(ear.heard, ['response 200 OK last']);
  t.deepEqual(back.refused, []);
  t.is(back.link.counts().peers, LIMITS.sessionsPerAgentMax + 1);
});

test('a new session of an agent whose sessions all have streams here is refused', async (t) => {
  const network = new Network();
  const back = network.join('back', [SERVICE], [SERVICE]);
  await crowd(network, LIMITS.sessionsPerAgentMax + 1);
  t.is(back.served.length, LIMITS.sessionsPerAgentMax);
  t.is(back.link.counts().peers, LIMITS.sessionsPerAgentMax);
  t.regex(back.refused.join(), /^peers: /);
  t.deepEqual(back.link.counts().served, LIMITS.sessionsPerAgentMax);
});
