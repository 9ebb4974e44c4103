/** What a link does when the bus loses, repeats or forges, and when the other side is not there. */
import test from 'ava';
import { Sealer } from '../../src/agent/link/sealer.ts';
import { FLAG, FrameWriter, TYPE } from '../../src/protocol/frames.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import type { Message } from '../kit/fake-bus.ts';
import { Ear, HEAD, Network, type Node, SERVICE, type Served, settle } from './pair.ts';

const CALLER = 'checkout.default';
const isData = (payload: Buffer) => payload.length > 8 * 1024;

function pair(): { network: Network; back: Node; front: Node } {
  const network = new Network();
  const back = network.join('back', [SERVICE], [SERVICE]);
  const front = network.join('front', [CALLER]);
  return { network, back, front };
}

const open = (node: Node, last = true, ear = new Ear()) => ({
  ear,
  stream: node.link.openToService(SERVICE, HEAD, last, ear, 1),
});
/** The ticks of a node for so long, with what comes between them. */
async function ticks({ link }: Node, fromMs: number, forMs: number): Promise<void> {
  for (let ms = 0; ms < forMs; ms += LIMITS.tickMs) {
    link.tick(fromMs + ms);
    await settle();
  }
  link.tick(fromMs + forMs);
}
const live = (...nodes: Node[]) => nodes.map(({ link }) => link.counts().opened + link.counts().served);

test('a lost packet of a response ends the stream, and is never a shorter body', async (t) => {
  const { network, back, front } = pair();
  const { ear } = open(front);
  await settle();
  const { stream: far } = back.served[0] as Served;
  far.sendResponse('200 OK\r\n', false);
  far.sendData(Buffer.alloc(10_000, 1));
  await settle();
  network.bus.arrivals = ({ payload }) => (isData(payload) ? 0 : 1);
  far.sendData(Buffer.alloc(10_000, 2));
  await settle();
  network.bus.arrivals = () => 1;
  far.sendEnd('');
  await settle();
  t.is(ear.bytes, 10_000);
  t.deepEqual(ear.heard, ['response 200 OK', 'reset stream_lost']);
  t.deepEqual(live(front, back), [0, 0]);
});

test('a lost packet of a request ends the stream at both ends', async (t) => {
  const { network, back, front } = pair();
  const { ear, stream } = open(front, false);
  await settle();
  network.bus.arrivals = ({ payload }) => (isData(payload) ? 0 : 1);
  stream.sendData(Buffer.alloc(10_000));
  await settle();
  network.bus.arrivals = () => 1;
  stream.sendEnd('');
  await settle();
  t.deepEqual(back.served[0]?.ear.heard, ['reset stream_lost']);
  t.deepEqual(ear.heard, ['reset stream_lost']);
  t.deepEqual(live(front, back), [0, 0]);
});

test('a packet that the bus delivers twice is taken once', async (t) => {
  const { network, back, front } = pair();
  network.bus.arrivals = () => 2;
  const { ear } = open(front);
  await settle();
  t.is(back.served.length, 1);
  back.served[0]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(ear.heard, ['response 200 OK last']);
  t.true(back.refused.every((reason) => reason.startsWith('replay:')));
  t.true(back.refused.length > 0 && front.refused.length > 0);
});

test('a request that nobody is there to take fails at once', async (t) => {
  const network = new Network();
  const front = network.join('front', [CALLER]);
  const { ear } = open(front);
  await settle();
  t.deepEqual(ear.heard, ['reset no_endpoint']);
  t.deepEqual(live(front), [0]);
});

test('a request that nobody acknowledges is lost after the limit, and not before', async (t) => {
  const { network, front } = pair();
  network.bus.arrivals = () => 0;
  const { ear } = open(front);
  await ticks(front, network.nowMs, LIMITS.acceptTimeoutMs);
  t.deepEqual(ear.heard, []);
  front.link.tick(network.nowMs + LIMITS.acceptTimeoutMs + 1);
  t.deepEqual(ear.heard, ['reset not_accepted']);
});

test('nobody is blamed for a bus that stands still: once it goes on there is time to acknowledge', async (t) => {
  const { network, back, front } = pair();
  const still = Promise.withResolvers<void>();
  const held: Message[] = [];
  network.bus.answered = () => still.promise;
  network.bus.arrivals = (message) => Number(held.push(message) < 0);
  const { ear } = open(front);
  await ticks(front, network.nowMs, 3 * LIMITS.acceptTimeoutMs);
  t.deepEqual([ear.heard, front.missing], [[], []]);

  network.bus.arrivals = () => 1;
  for (const { subject, payload, reply } of held) network.bus.publish(subject, payload, reply);
  still.resolve();
  await settle();
  front.link.tick(network.nowMs + 3 * LIMITS.acceptTimeoutMs + 1);
  back.served[0]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(ear.heard, ['response 200 OK last']);
});

test('an agent that hangs is blamed as soon as the bus has shown that it works', async (t) => {
  const { network, front } = pair();
  const still = Promise.withResolvers<void>();
  network.bus.answered = () => still.promise;
  network.bus.arrivals = () => 0;
  const { ear } = open(front);
  const answeredMs = 3 * LIMITS.acceptTimeoutMs;
  await ticks(front, network.nowMs, answeredMs);
  still.resolve();
  await settle();
  // Others that are asked meanwhile give it no more time.
  open(front);
  await ticks(front, network.nowMs + answeredMs, LIMITS.acceptTimeoutMs / 2 - 1);
  t.deepEqual(ear.heard, []);
  front.link.tick(network.nowMs + answeredMs + LIMITS.acceptTimeoutMs / 2);
  t.deepEqual(ear.heard, ['reset not_accepted']);
});

test('an instance that does not acknowledge is reported missing', async (t) => {
  const { network, back, front } = pair();
  network.bus.arrivals = () => 0;
  const endpoint = front.keyring.verify(back.keyring.document);
  front.link.openToInstance(SERVICE, endpoint, HEAD, true, new Ear());
  await ticks(front, network.nowMs, LIMITS.acceptTimeoutMs + LIMITS.tickMs);
  t.deepEqual(front.missing, ['orders.default at back']);
});

test('a slow request is acknowledged, and then waits for as long as it takes', async (t) => {
  const { network, back, front } = pair();
  const { ear } = open(front);
  await settle();
  network.nowMs += LIMITS.acceptAfterMs + 1;
  back.link.tick(network.nowMs);
  await settle();
  await ticks(front, network.nowMs, 3 * LIMITS.acceptTimeoutMs);
  t.deepEqual(ear.heard, []);
  t.is(front.link.counts().opened, 1);
});

test('an agent whose ticks are behind, because its process has paused, acknowledges in time', async (t) => {
  const { network, back, front } = pair();
  const { ear } = open(front);
  await settle();
  network.nowMs += LIMITS.acceptAfterMs + 1;
  back.link.tick(network.nowMs - 10_000);
  await settle();
  await ticks(front, network.nowMs, 3 * LIMITS.acceptTimeoutMs);
  t.deepEqual(ear.heard, []);
});

test('a request that is cancelled before anything came back is cancelled at the other agent too', async (t) => {
  const { network, back, front } = pair();
  const { stream } = open(front);
  await settle();
  stream.reset('cancelled', 'the caller went away');
  await settle();
  network.nowMs += LIMITS.acceptAfterMs + 1;
  back.link.tick(network.nowMs);
  await settle();
  t.deepEqual(back.served[0]?.ear.heard, ['reset cancelled']);
  t.deepEqual(live(front, back), [0, 0]);
});

test('a request right after one that was cancelled unanswered is served, and the other one ends', async (t) => {
  const { back, front } = pair();
  open(front).stream.reset('cancelled', 'the caller went away');
  await settle();
  const { ear } = open(front);
  await settle();
  t.deepEqual(back.refused, []);
  t.deepEqual(back.served[0]?.ear.heard, ['reset cancelled']);
  back.served[1]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(ear.heard, ['response 200 OK last']);
  t.deepEqual(live(front, back), [0, 0]);
});

test('a response to a request that was cancelled meanwhile is cut off', async (t) => {
  const { back, front } = pair();
  const { stream } = open(front);
  await settle();
  stream.reset('cancelled', 'the caller went away');
  back.served[0]?.stream.sendResponse('200 OK\r\n', false);
  await settle();
  t.deepEqual(back.served[0]?.ear.heard, ['reset cancelled']);
  t.deepEqual(live(front, back), [0, 0]);
});

test('an answer of an agent that is not entitled to the service is ignored', async (t) => {
  const { network, back, front } = pair();
  const { ear } = open(front);
  await settle();
  // It knows where `front` listens and under which id it waits.
  const thief = network.join('thief', ['thief.default']);
  const { reply = '' } = network.bus.published[0] as { reply?: string };
  const subject = reply.slice(0, reply.lastIndexOf('.'));
  const { publicKey } = thief.keyring.verify(front.keyring.document);
  const audience = { name: 'front', toService: false, epoch: 0, publicKey };
  const sealer = new Sealer(thief.keyring, '0123456789abcdef', audience, () => network.nowMs);
  const frames = new FrameWriter();
  frames.text(TYPE.RESPONSE, FLAG.LAST, 1, '200 Stolen\r\n');
  network.bus.publish(subject, sealer.seal(subject, 1, frames.bytes(), false));
  await settle();
  t.deepEqual(ear.heard, []);
  t.deepEqual(front.refused, ['entitled: thief may not answer for orders.default']);
  back.served[0]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(ear.heard, ['response 200 OK last']);
});

test('frames of a peer that make no sense are refused under one name, whatever they hold', async (t) => {
  const { network, back, front } = pair();
  open(front);
  await settle();
  const { reply = '' } = network.bus.published[0] as { reply?: string };
  const subject = reply.slice(0, reply.lastIndexOf('.'));
  const { publicKey } = back.keyring.verify(front.keyring.document);
  const audience = { name: 'front', toService: false, epoch: 0, publicKey };
  const sealer = new Sealer(back.keyring, '0123456789abcdef', audience, () => network.nowMs);
  const broken = ['', 'label: of its own', '\0'.repeat(10), '\xff'.repeat(100)];
  for (const [at, frames] of broken.entries()) {
    network.bus.publish(subject, sealer.seal(subject, at + 1, Buffer.from(frames, 'latin1'), false));
  }
  await settle();
  t.deepEqual(
    front.refused.map((reason) => reason.split(':', 1)[0]),
    broken.map(() => 'frames'),
  );
});

test('one agent cannot have more streams here than the limit; the next is refused as overloaded', async (t) => {
  const { back, front } = pair();
  const ears = Array.from({ length: LIMITS.streamsPerPeerMax + 5 }, () => open(front).ear);
  await settle();
  t.is(back.link.counts().served, LIMITS.streamsPerPeerMax);
  t.is(back.served.length, LIMITS.streamsPerPeerMax);
  t.is(ears.filter(({ heard }) => heard.includes('reset overloaded')).length, 5);
});

test('losing the bus ends every stream at both ends, and nothing is left', async (t) => {
  const { network, back, front } = pair();
  const opened = Array.from({ length: 20 }, (_, at) => open(front, at % 2 === 0));
  await settle();
  network.bus.up = false;
  front.link.lost();
  back.link.lost();
  for (const { ear } of opened) t.deepEqual(ear.heard, ['reset bus_lost']);
  for (const { ear } of back.served) t.deepEqual(ear.heard, ['reset bus_lost']);
  t.deepEqual(live(front, back), [0, 0]);
  t.throws(() => open(front), { message: /NATS/ });
});

test('the answer to the first request names the endpoint', async (t) => {
  const { back, front } = pair();
  open(front);
  await settle();
  back.served[0]?.stream.sendResponse('200 OK\r\n', true);
  await settle();
  t.deepEqual(front.found, ['orders.default at back']);
});

test('an agent that has left a service gets no request for it', async (t) => {
  const { back, front } = pair();
  back.link.leave(SERVICE);
  const { ear } = open(front);
  await settle();
  t.deepEqual(ear.heard, ['reset no_endpoint']);
  t.is(back.served.length, 0);
});

test('requests of one turn are dealt over several packets if several endpoints share them', async (t) => {
  const network = new Network();
  const backs = ['b1', 'b2', 'b3', 'b4'].map((name) => network.join(name, [SERVICE], [SERVICE]));
  const front = network.join('front', [CALLER]);
  for (let count = 0; count < 40; count++) front.link.openToService(SERVICE, HEAD, true, new Ear(), 4);
  await settle();
  t.is(network.bus.published.length, 4);
  t.deepEqual(
    backs.map(({ served }) => served.length),
    [10, 10, 10, 10],
  );
});
