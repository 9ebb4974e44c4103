/** Everything that a mesh trusts by is replaced while it works, by the commands that an operator has; and one agent is thrown out. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { openBuckets } from '../../src/controller/buckets.ts';
import { connectController } from '../../src/controller/connect.ts';
import type { IdentityView } from '../../src/protocol/api.ts';
import { type ApiAnswer, signCall } from '../../src/protocol/api-call.ts';
import { natsUser } from '../../src/protocol/nats-user.ts';
import { publicNkeyOf } from '../../src/protocol/nkey.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import { apiSubject, publicationKey, userInbox } from '../../src/protocol/subjects.ts';
import { TRUST_NAME } from '../../src/protocol/trust-list.ts';
import { routeYaml } from '../cli/fake-controller.ts';
import { freePort } from '../kit/free-port.ts';
import { ask, startApplication, until } from '../kit/mesh.ts';
import { childrenOf } from '../kit/process-tree.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

const MESH = 'shop';
/** A hundred requests a second of each kind show every gap, and leave the machine to what is replaced. */
const LOAD_PAUSE_MS = 10;
/** What the README promises of a revocation. */
const REVOKED_MS = 5_000;
/** So many in a row, and nothing comes any more. */
const FAILURES = 100;

/** An application that counts how often each POST was carried out, and sends without end for `/endless`. */
async function startOrders(t: ExecutionContext) {
  const done = new Map<string, number>();
  const application = await startApplication((incoming, response) => {
    incoming.resume();
    const { 'x-id': id } = incoming.headers;
    if (typeof id === 'string') done.set(id, (done.get(id) ?? 0) + 1);
    if (incoming.url !== '/endless') return void response.end('ok');
    const timer = setInterval(() => response.write('more'), LOAD_PAUSE_MS);
    response.on('close', () => clearInterval(timer));
  });
  t.teardown(application.stop);
  return { port: application.port, done };
}

/** A mesh with permissions on: web-1 calls orders, which app-1 and app-2 serve. */
async function startUp(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const orders = await startOrders(t);
  const [door, admin, ...admins] = await Promise.all([1, 2, 3, 4].map(freePort));
  const served = `{ service: orders, upstream: ["http://127.0.0.1:${orders.port}"] }`;
  await writeFile(join(folder, 'orders.yaml'), routeYaml('orders', '[{}]'));
  await writeFile(
    join(folder, 'mesh.yaml'),
    `mesh: ${MESH}
nats: { port: 0 }
policies: [orders.yaml]
agents:
  - { host: web-1, admin: "127.0.0.1:${admin}", workloads: [{ service: checkout, listen: "127.0.0.1:${door}" }] }
  - { host: app-1, admin: "127.0.0.1:${admins[0]}", workloads: [${served}] }
  - { host: app-2, admin: "127.0.0.1:${admins[1]}", workloads: [${served}] }
`,
  );
  const options = { cwd: folder, env: { WEFT_CONTEXT: '' } };
  const up = startWeft(t, ['up', '-f', 'mesh.yaml'], options);
  await up.line(/^weft: ready$/);
  const file = (name: string) => join(folder, '.weft', name);
  const { nats } = JSON.parse(await readFile(file('context.json'), 'utf8')) as { nats: string[] };
  return {
    up,
    orders,
    door: door!,
    nats,
    file,
    seed: async (name: string) => (await readFile(file(name), 'utf8')).trim(),
    begin: (...args: readonly string[]) => startWeft(t, args, options),
    /** A command of the operator, to its end. @returns what it has printed */
    async weft(...args: readonly string[]) {
      const weft = startWeft(t, args, options);
      t.is(await weft.exited, 0, `${args.join(' ')}: ${weft.stderr()}`);
      return weft.stdout();
    },
    /** A page of the caller's agent. */
    page: async (path: string) => (await ask(admin!, 'localhost', path)).body.toString(),
  };
}

/** Requests of both kinds at a door, one after another, until it is stopped. */
function startLoad(door: number) {
  let stopped = false;
  let [sent, failures, succeededMs] = [0, 0, 0];
  /** By status, or the code of the failure. */
  const outcomes = new Map<string, number>();
  const one = async (method: string) => {
    const headers = method === 'POST' ? { 'x-id': randomUUID() } : {};
    const { status, body } = await ask(
      door,
      'orders',
      '/',
      { method, headers },
      method === 'POST' ? 'pay' : '',
    );
    sent += 1;
    const outcome = status === 200 ? '200' : JSON.parse(body.toString()).code;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    failures = status === 200 ? 0 : failures + 1;
    if (status === 200) succeededMs = performance.now();
  };
  const running = ['GET', 'POST', 'GET', 'POST'].map(async (method) => {
    while (!stopped) {
      await one(method);
      await wait(LOAD_PAUSE_MS);
    }
  });
  return {
    outcomes,
    sent: () => sent,
    /** In a row, up to now. */
    failures: () => failures,
    succeededMs: () => succeededMs,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

/** A response that does not end by itself; resolves when it has begun. */
async function endless(t: ExecutionContext, door: number) {
  const sent = request({ host: '127.0.0.1', port: door, path: '/endless', headers: { host: 'orders' } });
  t.teardown(() => sent.destroy());
  sent.on('error', () => {}).end();
  const [response] = await once(sent, 'response');
  response.on('error', () => {}).resume();
  return { over: new Promise<void>((resolve) => response.once('close', resolve)) };
}

test('root, service and agent keys are replaced under load and no request fails; a revoked agent is out within 5 s', async (t) => {
  t.timeout(300_000);
  const { up, orders, door, nats, file, seed, begin, weft, page } = await startUp(t);
  const first = startLoad(door);
  await until(() => first.failures() === 0 && first.sent() > 10, 'it serves');
  await first.stop();

  const load = startLoad(door);
  const stream = await endless(t, door);
  let streaming = true;
  stream.over.then(() => {
    streaming = false;
  });
  const ofService = weft('rotate', 'service/orders');
  await weft('rotate', 'agent/app-1');

  const former = readRoot(await seed('root.nk'));
  await copyFile(file('root.nk'), file('kept.nk'));
  const interrupted = begin('rotate', 'root');
  await interrupted.line(/the next root signs now/);
  interrupted.child.kill('SIGKILL');
  await interrupted.exited;
  await Promise.all([ofService, weft('rotate', 'root')]);
  const present = readRoot(await seed('root.nk'));
  t.not(present.publicKey, former.publicKey);
  const { items } = JSON.parse(await weft('get', 'identities', '-o', 'json')) as { items: IdentityView[] };
  t.deepEqual(
    items.map(({ agent, state, root }) => [agent, state, root]),
    ['app-1', 'app-2', 'web-1'].map((agent) => [agent, 'valid', present.publicKey]),
  );
  await weft('get', 'httproute/orders');
  await weft('check');
  await load.stop();
  t.deepEqual([...load.outcomes.keys()], ['200']);
  t.deepEqual([...new Set(orders.done.values())], [1], 'each POST was carried out once');
  t.true(streaming, 'what ran went on');

  await t.notThrowsAsync(refusesFormerRoot());
  async function refusesFormerRoot() {
    const operator = await seed('operator.nk');
    const own = natsUser(() => operator, userInbox(publicNkeyOf('user', operator)!));
    const connection = await connect({ servers: nats, ...own });
    t.teardown(() => connection.close());
    const call = {
      verb: 'get',
      mesh: MESH,
      timeMs: Date.now(),
      nonce: 'a'.repeat(32),
      author: 'x',
      request: {},
    };
    const reply = await connection.request(
      apiSubject(MESH, 'get'),
      signCall(signingKey(former), call as never),
    );
    const answer = reply.json() as ApiAnswer<unknown>;
    t.is(answer.ok ? 'ok' : answer.error.code, 'denied');

    const writer = await connectController({ servers: nats, natsSeed: await seed('controller.nk') });
    t.teardown(() => writer.close());
    const { config } = await openBuckets(writer, MESH);
    const list = {
      version: 1,
      mesh: MESH,
      service: TRUST_NAME,
      revision: [Date.now(), 1],
      roots: [former.publicKey],
    };
    const forged = signDocument(signingKey(former), 'weft-trust', { ...list, revoked: [], renew: [] });
    await config.put(publicationKey('trust', TRUST_NAME), forged);
    const refused = /^weft_publications_refused_total\{kind="trust",reason="signature"\} [1-9]/m;
    await until(async () => refused.test(await page('/metrics')), 'agents refuse what the former root signs');
  }

  const [process1] = (await childrenOf(up.child.pid!)).filter(({ command }) => /app-1\.json/.test(command));
  process.kill(process1!.pid, 'SIGKILL');
  await up.line(/^weft: agent app-1 ended \(SIGKILL\)/);
  const starts = () => up.stderr().match(/^app-1 \| .*"state":"serving"/gm)?.length;
  await until(() => starts() === 2, 'it starts again with what it has on disk');

  const last = startLoad(door);
  await until(() => last.sent() > 10 && last.failures() === 0, 'requests are under way');
  await weft('revoke', 'agent/web-1');
  const revokedMs = performance.now();
  await stream.over;
  await until(() => last.failures() >= FAILURES, 'no request succeeds any more');
  t.true(last.succeededMs() - revokedMs < REVOKED_MS);
  t.regex(await page('/readyz'), /the identity of web-1 was revoked; start it with a new token/);
  await up.line(/^web-1 \| .*was revoked; start it with a new token: weft token create --host web-1/);
  const { key } = items.find(({ agent }) => agent === 'web-1')!;
  await until(
    async () => !(await readFile(file('nats.conf'), 'utf8')).includes(key),
    'NATS knows it no more',
  );
  await last.stop();
});
