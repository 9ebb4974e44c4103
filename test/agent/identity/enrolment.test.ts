/** How a host gets its identity, and starts again with it. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createRoot } from '../../../src/protocol/root.ts';
import { enrolledAgent } from '../../kit/enrolled-agent.ts';
import { startGranter } from '../../kit/granter.ts';
import { ask, startApplication, until } from '../../kit/mesh.ts';
import { startNats } from '../../kit/nats-server.ts';
import { tempFolder } from '../../kit/temp-folder.ts';

const ORDERS = 'orders.default';
const CHECKOUT = 'checkout.default';

async function start(t: ExecutionContext) {
  const nats = await startNats();
  t.teardown(nats.stop);
  const { seed } = createRoot();
  const granter = await startGranter(t, nats.url, seed);
  const application = await startApplication((_request, response) => response.end('served'));
  t.teardown(application.stop);
  const data = await tempFolder(t);
  const back = (token?: string) =>
    enrolledAgent(
      t,
      nats.url,
      join(data, 'back'),
      'back',
      [{ service: ORDERS, ports: [application.port] }],
      token,
    );
  const front = (token?: string) =>
    enrolledAgent(t, nats.url, join(data, 'front'), 'front', [{ service: CHECKOUT, calls: true }], token);
  return { nats, seed, granter, data, back, front };
}

test('a host joins with its token, and calls and serves', async (t) => {
  const { granter, data, back, front } = await start(t);
  const serving = await back(granter.invite('back', [ORDERS]));
  await serving.start();
  const calling = await front(granter.invite('front', [CHECKOUT]));
  await calling.start();
  await granter.publishList(ORDERS, []);
  const answer = await ask(calling.door, 'orders');
  t.deepEqual([answer.status, answer.body.toString()], [200, 'served']);
  await until(() => granter.introductionOf('back') !== undefined, 'back has said who it is');
  await granter.publishList(ORDERS, ['back']);
  for (const method of ['GET', 'POST'])
    t.is((await ask(calling.door, 'orders', '/', { method })).status, 200);

  const folder = join(data, 'back', 'identity');
  t.is((await stat(folder)).mode & 0o777, 0o700);
  const files = await readdir(folder);
  t.is(files.length, 2);
  for (const file of files) {
    t.is((await stat(join(folder, file))).mode & 0o777, 0o600, file);
    t.notRegex(await readFile(join(folder, 'state.json'), 'utf8'), /SU[A-Z2-7]{56}/);
  }
  t.regex(await calling.agent.registry.metrics(), /^weft_identity_expiry_timestamp_seconds \d{10}$/m);
});

test('an agent that was enrolled starts and serves while the controller is away, and leaves a token unused', async (t) => {
  const { granter, back, front } = await start(t);
  for (const [make, host, workload] of [
    [back, 'back', ORDERS],
    [front, 'front', CHECKOUT],
  ] as const) {
    const first = await make(granter.invite(host, [workload]));
    await first.start();
    await until(() => granter.asked.includes(`renew ${host}`), 'it knows what there is to know');
    await first.agent.stop();
  }
  await granter.publishList(ORDERS, []);
  granter.settings.away = true;
  const before = granter.asked.length;
  const serving = await back(granter.invite('back', [ORDERS]));
  const calling = await front();
  await serving.start();
  await calling.start();
  t.is((await ask(calling.door, 'orders')).body.toString(), 'served');
  t.is(granter.asked.length, before);
  t.true(serving.log.some(({ msg }) => String(msg).includes('join token is left unused')));
});

test('a token of another root than that of the identity is left unused, and it is said what to do', async (t) => {
  const { nats, granter, back } = await start(t);
  await back(granter.invite('back', [ORDERS]));
  const other = await startGranter(t, nats.url, createRoot().seed);
  const { log } = await back(other.invite('back', [ORDERS]));
  t.true(
    log.some(({ level, msg }) => level === 40 && /of another root .* remove the folder/.test(String(msg))),
  );
});

test('a host without identity and token is told how to get one', async (t) => {
  const { back } = await start(t);
  const error = await t.throwsAsync(back());
  t.regex(error?.message ?? '', /weft token create --host back --workloads orders\.default/);
});

test('a token that is refused, of another host or no token ends the start, and the secret is not repeated', async (t) => {
  const { granter, back, front } = await start(t);
  const token = granter.invite('back', [ORDERS]);
  await back(token);
  const foreign = await t.throwsAsync(front(token));
  t.regex(foreign?.message ?? '', /for the host back, and the configuration says front/);
  granter.settings.refuses = { code: 'conflict', message: 'it was used at noon: make another one' };
  const refused = await t.throwsAsync(front(granter.invite('front', [CHECKOUT])));
  t.regex(refused?.message ?? '', /refuses the join token: it was used at noon/);
  const none = await t.throwsAsync(front('weft1.abc'));
  t.regex(none?.message ?? '', /whole text/);
});

test('a host waits for a controller that is not there yet, and says so', async (t) => {
  const { granter, nats, front } = await start(t);
  const token = granter.invite('front', [CHECKOUT]);
  granter.settings.refuses = { code: 'not_leading', message: 'nobody leads' };
  const joining = front(token);
  await until(() => granter.asked.includes('refused'), 'it has asked');
  await nats.kill();
  await nats.restart();
  granter.settings.refuses = undefined;
  const { log } = await joining;
  t.true(log.some(({ msg, retryMs }) => /not enrolled yet/.test(String(msg)) && Number(retryMs) > 0));
});

test('a clock that is wrong by seconds is said', async (t) => {
  const { granter, front } = await start(t);
  granter.settings.aheadMs = 5_000;
  const warned = await front(granter.invite('front', [CHECKOUT]));
  t.true(warned.log.some(({ msg }) => /clock of this host is \d+\.\d s behind/.test(String(msg))));
});

test('with a clock by which packets are refused a host is enrolled and ends; its identity waits for the right time', async (t) => {
  const { granter, front } = await start(t);
  granter.settings.aheadMs = -20_000;
  const error = await t.throwsAsync(front(granter.invite('front', [CHECKOUT])));
  t.regex(error?.message ?? '', /\d+\.\d s ahead of.*needs no other token/);
  const later = await front();
  t.is(later.agent.ready, false);
});
