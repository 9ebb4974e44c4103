import test, { type ExecutionContext } from 'ava';
import type { ClientConnection } from '../../src/agent/http1/client-connection.ts';
import { type Claim, Pool } from '../../src/agent/http1/pool.ts';
import type { WeftError } from '../../src/protocol/errors.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { freePort } from '../kit/free-port.ts';
import { startRawApplication, until } from '../kit/mesh.ts';
import { TestClock } from '../kit/time.ts';

/** A claim that waits for its outcome. */
class TestClaim implements Claim {
  readonly #outcome = Promise.withResolvers<ClientConnection | WeftError>();
  readonly outcome = this.#outcome.promise;
  settled = false;

  granted(connection: ClientConnection): void {
    this.settled = true;
    this.#outcome.resolve(connection);
  }
  refused(error: WeftError): void {
    this.settled = true;
    this.#outcome.resolve(error);
  }
}

async function open(t: ExecutionContext): Promise<{ pool: Pool; clock: TestClock }> {
  const application = await startRawApplication((socket) => socket.resume());
  t.teardown(application.stop);
  const clock = new TestClock();
  const pool = new Pool({ host: '127.0.0.1', port: application.port }, clock.now);
  return { pool, clock };
}

async function claimed(pool: Pool, fresh = false): Promise<ClientConnection> {
  const claim = new TestClaim();
  pool.claim(claim, fresh);
  return (await claim.outcome) as ClientConnection;
}

test('the connection that was used last is used next', async (t) => {
  const { pool } = await open(t);
  const [first, second] = [await claimed(pool), await claimed(pool)];
  pool.idle(first);
  pool.idle(second);
  t.is(await claimed(pool), second);
  t.is(await claimed(pool), first);
  t.is(pool.connections, 2);
});

test('a claim for a fresh connection gets one although another is idle', async (t) => {
  const { pool } = await open(t);
  const first = await claimed(pool);
  pool.idle(first);
  t.not(await claimed(pool, true), first);
});

test('a connection that has been idle for too long is not used, and closed', async (t) => {
  const { pool, clock } = await open(t);
  const [first, second] = [await claimed(pool), await claimed(pool)];
  pool.idle(first);
  clock.nowMs += LIMITS.upstreamIdleMs - 1;
  pool.idle(second);
  pool.expire(clock.nowMs);
  t.is(pool.connections, 2);
  clock.nowMs += 1;
  pool.expire(clock.nowMs);
  await until(() => pool.connections === 1, 'the old connection to close');
  clock.nowMs += LIMITS.upstreamIdleMs;
  t.not(await claimed(pool), second);
});

test('beyond the limit claims wait in order, and beyond the queue they are refused', async (t) => {
  const { pool } = await open(t);
  const held: ClientConnection[] = [];
  for (let count = 0; count < LIMITS.upstreamConnectionsMax; count++) held.push(await claimed(pool));
  const [first, second, withdrawn] = [new TestClaim(), new TestClaim(), new TestClaim()];
  for (const claim of [withdrawn, first, second]) pool.claim(claim);
  pool.withdraw(withdrawn);
  for (let count = 2; count < LIMITS.upstreamQueueMax; count++) pool.claim(new TestClaim());
  const last = new TestClaim();
  pool.claim(last);
  t.is(((await last.outcome) as WeftError).code, 'overloaded');
  t.is(pool.pending, LIMITS.upstreamConnectionsMax + LIMITS.upstreamQueueMax);
  pool.idle(held[0] as ClientConnection);
  t.is(await first.outcome, held[0] as ClientConnection);
  t.false(second.settled);
  (held[1] as ClientConnection).destroy();
  t.not(await second.outcome, held[1] as ClientConnection);
  t.false(withdrawn.settled);
  t.is(pool.connections, LIMITS.upstreamConnectionsMax);
  for (const connection of held) connection.destroy();
});

test('a claim that is withdrawn while its connection opens leaves it to the next', async (t) => {
  const { pool } = await open(t);
  const withdrawn = new TestClaim();
  pool.claim(withdrawn);
  pool.withdraw(withdrawn);
  await until(() => pool.pending === 0, 'the connection to open');
  await claimed(pool);
  t.is(pool.connections, 1);
  t.false(withdrawn.settled);
});

test('a claim is refused where nobody listens, and nothing is left behind', async (t) => {
  const pool = new Pool({ host: '127.0.0.1', port: await freePort() }, () => 0);
  const claim = new TestClaim();
  pool.claim(claim);
  t.is(((await claim.outcome) as WeftError).code, 'upstream_refused');
  await until(() => pool.connections === 0, 'the connection to close');
  t.is(pool.pending, 0);
});

test('a closed pool keeps no connection', async (t) => {
  const { pool } = await open(t);
  const [idle, busy] = [await claimed(pool), await claimed(pool)];
  pool.idle(idle);
  pool.close();
  await until(() => pool.connections === 1, 'the idle connection to close');
  pool.idle(busy);
  await until(() => pool.connections === 0, 'the other to close');
  t.pass();
});
