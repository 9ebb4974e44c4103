/** An agent of the mesh that was broken into can harm nobody beyond what it may ask for. */
import test, { type ExecutionContext } from 'ava';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { intrude } from '../kit/intruder.ts';
import { until } from '../kit/mesh.ts';
import type { RawPeer } from '../kit/raw-peer.ts';
import { Ear } from '../link/pair.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const NEXT = '/next';

/** An application that records what every connection brings, and answers NEXT only. */
async function attacked(t: ExecutionContext) {
  const connections: string[] = [];
  const name = await crossing.raw(t, async (peer: RawPeer) => {
    const at = connections.push('') - 1;
    for (;;) {
      const head = await peer.head();
      connections[at] += head;
      if (head.includes(NEXT)) peer.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    }
  });
  const { nats, seed } = crossing.mesh;
  const link = await intrude(t, nats.url, seed, ['thief.default']);
  const open = (line: string, fields: string, last: boolean) => {
    const ear = new Ear();
    const head = `${line} ${name}.default thief.default -\r\nhost: ${name}\r\n${fields}`;
    return { ear, stream: link.openToService(`${name}.default`, head, last, ear, 1) };
  };
  return { connections, open };
}

const over = (ear: Ear) => until(() => ear.heard.some((one) => !one.startsWith('response')), 'the end');

for (const [what, method, fields, body] of [
  ['a body that is shorter than announced', 'POST', 'content-length: 10\r\n', 'abc'],
  ['a body that is longer than announced', 'POST', 'content-length: 2\r\n', 'abc'],
  ['no body where one is announced', 'POST', 'content-length: 400\r\n', ''],
  ['an upgrade with a body that never comes', 'GET', 'upgrade: x\r\ncontent-length: 400\r\n', ''],
] as const) {
  test(`${what} is refused, and the next request has a connection of its own`, async (t) => {
    const { connections, open } = await attacked(t);
    const { ear, stream } = open(`${method} /first`, fields, false);
    if (body !== '') stream.sendData(Buffer.from(body));
    stream.sendEnd('');
    await over(ear);
    t.deepEqual(ear.heard, ['reset stream_protocol']);
    const next = open(`GET ${NEXT}`, '', true);
    await until(() => next.ear.heard.length > 0, 'an answer');
    t.regex(next.ear.heard[0] ?? '', /^response 200 OK/);
    const [last = '', ...before] = connections.filter((text) => text !== '').reverse();
    t.regex(last, /^GET \/next /);
    t.true(before.every((text) => !text.includes(NEXT)));
  });
}

test('a body that is announced and excluded at once is refused before the application sees anything', async (t) => {
  const { connections, open } = await attacked(t);
  const { ear } = open('POST /first', 'content-length: 400\r\n', true);
  await over(ear);
  t.deepEqual(ear.heard, ['reset stream_protocol']);
  t.deepEqual(connections, []);
});

test('an upgrade whose caller has ended beforehand leaves no connection to the application', async (t) => {
  const closed = Promise.withResolvers<void>();
  const name = await crossing.raw(t, async (peer) => {
    await peer.head();
    peer.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
    await peer.rest();
    closed.resolve();
  });
  const link = await intrude(t, crossing.mesh.nats.url, crossing.mesh.seed, ['thief.default']);
  const head = `GET / ${name}.default thief.default -\r\nhost: ${name}\r\nupgrade: x\r\n`;
  link.openToService(`${name}.default`, head, true, new Ear(), 1);
  await closed.promise;
  t.pass();
});

test('a second response on one stream never becomes the answer to another request', async (t) => {
  const { nats, seed } = crossing.mesh;
  const link = await intrude(t, nats.url, seed, ['ads.default'], (stream) => {
    stream.sendResponse('200 OK\r\ncontent-length: 2\r\n', false);
    stream.sendData(Buffer.from('ad'));
    stream.sendResponse('200 OK\r\ncontent-length: 6\r\n', false);
    stream.sendData(Buffer.from('poison'));
    stream.sendEnd('');
    return new Ear();
  });
  link.join('ads.default');
  const bank = await crossing.http(t, (request, response) => {
    request.resume().on('end', () => response.end('honest'));
  });
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.1\r\nHost: ads\r\n\r\nGET / HTTP/1.1\r\nHost: ${bank}\r\n\r\n`);
  t.false((await client.rest()).includes('poison'));
  await until(() => crossing.front.agent.counts().streamsOpened === 0, 'nothing is left');
});
