import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { ClientConnection } from '../../../src/agent/http1/client-connection.ts';
import type { Pool } from '../../../src/agent/http1/pool.ts';
import { Upstream } from '../../../src/agent/inbound/upstream.ts';

/** An upstream of instances that accept and stay silent, with a clock that only the test moves. */
async function create(t: ExecutionContext, instances: number) {
  const ports: number[] = [];
  for (let count = 0; count < instances; count++) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    ports.push((server.address() as AddressInfo).port);
  }
  const clock = { nowMs: 0 };
  const hosts = ports.map((port) => ({ host: '127.0.0.1', port }));
  const upstream = new Upstream(hosts, () => clock.nowMs);
  const index = (pool: Pool | undefined) => (pool === undefined ? undefined : upstream.pools.indexOf(pool));
  const occupy = (pool: Pool) =>
    new Promise<ClientConnection>((resolve, reject) => pool.claim({ granted: resolve, refused: reject }));
  return { upstream, clock, index, occupy };
}

test('idle instances take turns', async (t) => {
  const { upstream, index } = await create(t, 3);
  t.deepEqual(Array.from({ length: 6 }, () => index(upstream.choose())).sort(), [0, 0, 1, 1, 2, 2]);
});

test('the instance with the fewest requests under way is next', async (t) => {
  const { upstream, index, occupy } = await create(t, 3);
  const [first, , third] = upstream.pools as [Pool, Pool, Pool];
  const held = [await occupy(first), await occupy(third)];
  for (let count = 0; count < 6; count++) t.is(index(upstream.choose()), 1);
  for (const connection of held) connection.destroy();
});

test('one that has refused is passed over for a moment, however idle it is', async (t) => {
  const { upstream, clock, index, occupy } = await create(t, 3);
  const [first, second, third] = upstream.pools as [Pool, Pool, Pool];
  const held = await occupy(third);
  t.is(index(upstream.choose(first)), 1);
  t.is(index(upstream.choose(second)), 2);
  for (let count = 0; count < 6; count++) t.is(index(upstream.choose()), 2);
  clock.nowMs = 1_000;
  t.not(index(upstream.choose()), 2);
  held.destroy();
});

test('if all have refused they are asked again', async (t) => {
  const { upstream } = await create(t, 2);
  const [first, second] = upstream.pools as [Pool, Pool];
  t.is(upstream.choose(first), second);
  t.is(upstream.choose(second), first);
  t.truthy(upstream.choose());
});

test('without another instance there is none to choose', async (t) => {
  const { upstream } = await create(t, 1);
  const [only] = upstream.pools as [Pool];
  t.is(upstream.choose(), only);
  t.is(upstream.choose(only), undefined);
  t.is(new Upstream([], () => 0).choose(), undefined);
});

test('an unhealthy one is not asked while another is healthy, not even after that has refused', async (t) => {
  const { upstream, index, occupy } = await create(t, 3);
  const [first, second] = upstream.pools as [Pool, Pool, Pool];
  upstream.healthy[1] = false;
  upstream.healthy[2] = false;
  const held = [await occupy(first), await occupy(first)];
  for (let count = 0; count < 6; count++) t.is(index(upstream.choose()), 0);
  t.is(upstream.choose(first), undefined);
  upstream.healthy[0] = false;
  t.not(upstream.choose(second), undefined, 'if none is healthy any may be asked');
  for (const connection of held) connection.destroy();
});
