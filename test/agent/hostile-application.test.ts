/** What an application does wrong, or to harm, stays its own affair: nothing of it is left in the agents. */
import test, { type ExecutionContext } from 'ava';
import { LIMITS } from '../../src/protocol/limits.ts';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { ask, quiet, startApplication, startMesh, startRawApplication, until } from '../kit/mesh.ts';
import { dial } from '../kit/raw-peer.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const hints = (count: number) => 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(count);

test('as many informational responses as the limit allows are passed on', async (t) => {
  const service = await crossing.raw(t, async (peer) => {
    await peer.head();
    peer.end(`${hints(LIMITS.informationalMax)}HTTP/1.1 204 No Content\r\n\r\n`);
  });
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\nConnection: close\r\n\r\n`);
  const statuses = (await client.rest()).match(/(?<=HTTP\/1\.1 )[0-9]+/g);
  t.deepEqual(statuses, [...Array(LIMITS.informationalMax).fill('103'), '204']);
});

test('informational responses without end are a fault of the application, and its connection ends', async (t) => {
  const ended = Promise.withResolvers<void>();
  const service = await crossing.raw(t, async (peer) => {
    await peer.head();
    peer.write(hints(LIMITS.informationalMax + 1));
    await peer.rest();
    ended.resolve();
  });
  const { status, headers } = await ask(crossing.door, service);
  t.is(status, 502);
  t.regex(String(headers['proxy-status']), /upstream_protocol/);
  await ended.promise;
});

/** What a window holds, and more: some of a body waits for credit that may never come. */
const SIZES = [64 * 1024, LIMITS.streamWindowBytes, 300 * 1024];

type Start = (t: ExecutionContext) => Promise<number>;

const keepsOpen: Start = async (t) => {
  const { port, stop } = await startApplication((_request, response) => response.writeHead(401).end());
  t.teardown(stop);
  return port;
};
const closes: Start = async (t) => {
  const { port, stop } = await startRawApplication((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
  });
  t.teardown(stop);
  return port;
};

for (const [what, start] of Object.entries({ keepsOpen, closes })) {
  test(`answers before a body has been read leave no stream on either side (${what})`, async (t) => {
    const port = await start(t);
    const mesh = await startMesh();
    t.teardown(mesh.stop);
    const back = await mesh.add('back', [{ service: 'orders.default', ports: [port] }]);
    const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
    const post = async (bytes: number) => {
      const client = await dial(front.door);
      t.teardown(() => client.socket.destroy());
      client.write(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${bytes}\r\n\r\n${'a'.repeat(bytes)}`);
      const head = await client.head();
      client.socket.destroy();
      return head.split('\r\n', 1)[0];
    };
    const posts = Array.from({ length: 30 }, (_, at) => post(SIZES[at % SIZES.length] as number));
    t.deepEqual([...new Set(await Promise.all(posts))], ['HTTP/1.1 401 Unauthorized']);
    await until(() => quiet(front.agent) && quiet(back.agent), 'nothing is left');
  });
}
