/** The contract of stream.ts (S1–S3), kept by streams over the bus and by streams within one agent alike. */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { openLocal } from '../../src/agent/link/local.ts';
import type { Stream } from '../../src/agent/link/stream.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { Ear, HEAD, Network, SERVICE, type Served, settle } from './pair.ts';

interface Ends {
  readonly near: Stream;
  readonly nearEar: Ear;
  readonly far: Stream;
  readonly farEar: Ear;
}

type Open = (last: boolean) => Promise<Ends>;

async function overTheBus(last: boolean): Promise<Ends> {
  const network = new Network();
  const back = network.join('back', [SERVICE], [SERVICE]);
  const front = network.join('front', ['checkout.default']);
  const nearEar = new Ear();
  const near = front.link.openToService(SERVICE, HEAD, last, nearEar, 1);
  await settle();
  const { stream: far, ear: farEar } = back.served[0] as Served;
  return { near, nearEar, far, farEar };
}

async function onOneAgent(last: boolean): Promise<Ends> {
  const { keyring } = new Network().join('both', [SERVICE]);
  const nearEar = new Ear();
  const farEar = new Ear();
  const opened = Promise.withResolvers<Stream>();
  const near = openLocal(
    (stream) => {
      opened.resolve(stream);
      return farEar;
    },
    keyring.verify(keyring.document),
    HEAD,
    last,
    nearEar,
  );
  return { near, nearEar, far: await opened.promise, farEar };
}

function contract(name: string, claim: (t: ExecutionContext, open: Open) => Promise<void>): void {
  test(`over the bus, ${name}`, (t) => claim(t, overTheBus));
  test(`on one agent, ${name}`, (t) => claim(t, onOneAgent));
}

contract('heads, body and trailers arrive in their order', async (t, open) => {
  const { near, nearEar, far, farEar } = await open(false);
  near.sendData(Buffer.from('ask'));
  near.sendEnd('a: 1\r\n');
  await settle();
  far.sendInformational('103 Early Hints\r\n');
  far.sendResponse('200 OK\r\n', false);
  far.sendData(Buffer.from('answer'));
  far.sendEnd('b: 2\r\n');
  await settle();
  t.is(Buffer.concat(farEar.chunks).toString(), 'ask');
  t.deepEqual(farEar.heard, ['end a: 1']);
  t.is(Buffer.concat(nearEar.chunks).toString(), 'answer');
  t.deepEqual(nearEar.heard, ['informational 103 Early Hints', 'response 200 OK', 'end b: 2']);
});

contract(
  'a sender is stopped by a reader that does not consume, and goes on when it does',
  async (t, open) => {
    const { near, far, farEar } = await open(false);
    const chunk = Buffer.alloc(16 * 1024, 7);
    let sent = 0;
    while (sent < 100 && near.sendData(chunk)) sent += 1;
    await settle();
    t.true(sent < 100, 'it was never stopped');
    t.true(farEar.bytes <= LIMITS.streamWindowBytes);
    farEar.onData = (more) => far.consumed(more.length);
    far.consumed(farEar.bytes);
    await settle();
    t.true(near.sendData(chunk));
    near.sendEnd('');
    await settle();
    t.is(farEar.bytes, (sent + 2) * chunk.length);
    t.deepEqual(farEar.heard, ['end']);
  },
);

contract('the sender is told when it may go on', async (t, open) => {
  const { near, nearEar, far, farEar } = await open(false);
  let told = 0;
  nearEar.onWritable = () => {
    told += 1;
  };
  while (near.sendData(Buffer.alloc(64 * 1024)));
  await settle();
  t.is(told, 0);
  far.consumed(farEar.bytes);
  await settle();
  t.is(told, 1);
});

contract('a reset ends both directions, and nothing is heard after it', async (t, open) => {
  const { near, nearEar, far, farEar } = await open(false);
  near.sendData(Buffer.from('before'));
  near.reset('cancelled', 'gone');
  near.sendData(Buffer.from('after'));
  near.sendEnd('');
  await settle();
  far.sendResponse('200 OK\r\n', false);
  far.sendData(Buffer.from('too late'));
  await settle();
  t.is(Buffer.concat(farEar.chunks).toString(), 'before');
  t.deepEqual(farEar.heard, ['reset cancelled']);
  t.deepEqual(nearEar.heard, []);
});

contract('the side that serves can refuse with a code', async (t, open) => {
  const { nearEar, far } = await open(false);
  far.reset('overloaded', 'full');
  await settle();
  t.deepEqual(nearEar.heard, ['reset overloaded']);
});

contract('a response may be complete before the request is', async (t, open) => {
  const { near, nearEar, far, farEar } = await open(false);
  far.sendResponse('413 Content Too Large\r\n', true);
  await settle();
  t.deepEqual(nearEar.heard, ['response 413 Content Too Large last']);
  near.reset('cancelled', 'the response is complete');
  await settle();
  t.deepEqual(farEar.heard, ['reset cancelled']);
});

contract('bodies of any shape arrive byte for byte, both ways at once', async (t, open) => {
  const chunks = fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(chunks, chunks, async (up, down) => {
      const { near, nearEar, far, farEar } = await open(false);
      farEar.onData = (chunk) => far.consumed(chunk.length);
      nearEar.onData = (chunk) => near.consumed(chunk.length);
      far.sendResponse('200 OK\r\n', false);
      const bodies = [up, down].map((sizes) => sizes.map((size, at) => Buffer.alloc(size, at + 1)));
      for (const chunk of bodies[0] ?? []) near.sendData(chunk);
      for (const chunk of bodies[1] ?? []) far.sendData(chunk);
      near.sendEnd('');
      far.sendEnd('');
      await settle();
      t.true(Buffer.concat(farEar.chunks).equals(Buffer.concat(bodies[0] ?? [])));
      t.true(Buffer.concat(nearEar.chunks).equals(Buffer.concat(bodies[1] ?? [])));
      t.deepEqual([farEar.heard, nearEar.heard], [['end'], ['response 200 OK', 'end']]);
    }),
    { numRuns: 30 },
  );
});
