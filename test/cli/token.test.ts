import test from 'ava';
import { timeoutOf } from '../../src/cli/programmed.ts';
import { readJoinToken } from '../../src/protocol/enrolment.ts';
import { sealToken } from '../../src/protocol/token-answer.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { fakeController } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

const DAY_MS = 24 * 3_600_000;
const MADE = { id: 'ab'.repeat(16), secret: Buffer.alloc(32, 1).toString('base64url'), expiresMs: 7 };

test('a token can be made for days, and the answer is opened with the key of this call alone', async (t) => {
  const controller = await fakeController(t, nats.url, {
    token: ({ sealTo }, turn) => {
      const other = Buffer.alloc(32, 9).toString('base64url');
      return { sealed: turn < 1 ? sealToken(sealTo, MADE) : sealToken(other, MADE) };
    },
  });
  const create = ['token', 'create', '--host', 'app-1', '--workloads', 'orders', '--ttl'];
  const made = await controller.weft([...create, '7d']);
  t.is(made.code, 0, made.stderr);
  t.like(controller.asked[0]?.request, { host: 'app-1', ttlMs: 7 * DAY_MS });
  t.like(readJoinToken(made.stdout), { host: 'app-1', id: MADE.id, root: controller.root.publicKey });
  const other = await controller.weft([...create, '1h30m']);
  t.is(other.code, 1);
  t.regex(other.stderr, /not sealed to this call/);
  t.false(other.stderr.includes(MADE.secret));
  for (const ttl of ['31d', '59s', 'd', '1w']) {
    const refused = await controller.weft([...create, ttl]);
    t.is(refused.code, 2);
    t.regex(refused.stderr, /--ttl: expected a duration from 1m to 30d/);
  }
});

test('a time to wait can be one of days too', (t) => {
  t.is(timeoutOf({ timeout: '1d' }), DAY_MS);
  t.throws(() => timeoutOf({ timeout: '1w' }), { message: /--timeout: expected a duration/ });
});
