/** `evidence: signed` over two agents and a real bus, and what a third party makes of what they have kept. */
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { startControllerProcess } from '../kit/controller-process.ts';
import { intrude } from '../kit/intruder.ts';
import { ask, MESH, startApplication, startMesh, type TestAgent, until } from '../kit/mesh.ts';
import { type Publisher, startPublisher } from '../kit/publisher.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';
import { Ear } from '../link/pair.ts';

const ORDERS = 'orders.default';
const SIGNED = `apiVersion: weft.dev/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, evidence: signed }
`;
const READERS = `apiVersion: weft.dev/v1
kind: AuthorizationPolicy
metadata: { name: no-admin }
spec:
  targetRef: { kind: Service, name: orders }
  action: DENY
  rules: [{ to: [{ paths: [/admin] }] }]
`;

/** Two agents with a folder each; `orders` is published with those resources. */
async function meshWith(t: ExecutionContext, resources: readonly string[]) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const folder = await tempFolder(t);
  const application = await startApplication((incoming, response) => {
    response.writeHead(incoming.method === 'POST' ? 201 : 200);
    incoming.pipe(response);
  });
  t.teardown(application.stop);
  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
  let revision = 0;
  const publish = async (texts: readonly string[]) => {
    const read = readResources(texts.join('\n---\n'), 'test.yaml');
    t.deepEqual(read.faults, []);
    revision += 1;
    const index = createCompileIndex(read.resources.map(({ resource }) => resource));
    const identity = { mesh: MESH, epoch: 1, revision };
    const snapshot = compileService(ORDERS, index, new Set([ORDERS]), identity);
    await publisher.publish('snapshot', snapshot as Parameters<Publisher['publish']>[1]);
  };
  await publish(resources);
  const workloads = [{ service: ORDERS, ports: [application.port] }];
  const back = await mesh.make('back', workloads, 5_000, join(folder, 'back'));
  const caller = [{ service: 'checkout.default', calls: true }];
  const front = await mesh.make('front', caller, 5_000, join(folder, 'front'));
  await back.agent.start();
  await front.agent.start();
  const fileOf = (host: string) => join(folder, host, 'evidence', `${ORDERS}.jsonl`);
  const root = join(folder, 'root.nk');
  await writeFile(root, mesh.seed, { mode: 0o600 });
  const verify = async (file: string, ...args: readonly string[]) => {
    const weft = startWeft(t, ['verify', file, '--root', readRoot(mesh.seed).publicKey, ...args]);
    const code = await weft.exited;
    return { code, stdout: weft.stdout(), stderr: weft.stderr() };
  };
  return { mesh, back, front, publish, fileOf, verify };
}

async function count(agent: TestAgent, name: string, label: string): Promise<number> {
  const metric = await agent.agent.registry.getSingleMetric(name)?.get();
  const found = metric?.values.find(({ labels }) => Object.values(labels).includes(label));
  return found?.value ?? 0;
}

const written = async (agent: TestAgent) => count(agent, 'weft_evidence_packets_total', 'written');

test.serial(
  'a request and its response are proven to somebody who has nothing but the public root',
  async (t) => {
    const { back, front, fileOf, verify } = await meshWith(t, [SIGNED]);
    const options = { method: 'POST', headers: { 'content-length': 12 } };
    const answer = await ask(front.door, 'orders', '/pay?to=me', options, 'twelve bytes');
    t.is(answer.status, 201);
    t.is(answer.body.toString(), 'twelve bytes');
    await until(async () => (await written(back)) > 0 && (await written(front)) > 0, 'both have kept it');
    await Promise.all([back.agent.stop(), front.agent.stop()]);

    const asked = await verify(fileOf('back'));
    t.is(asked.code, 0, asked.stderr);
    t.regex(
      asked.stdout,
      /^line 1 {2}ok {2}20\S+Z {2}spiffe:\/\/test\/agent\/front to \S+: #\d+ POST \/pay\?to=me by checkout\.default/m,
    );
    const { packets } = JSON.parse((await verify(fileOf('back'), '-o', 'json')).stdout);
    const bodies = packets.flatMap((one: { statements: { type: string; bytes: number }[] }) =>
      one.statements.filter(({ type }) => type === 'body').map(({ bytes }) => bytes),
    );
    t.deepEqual(bodies, [12]);

    const answered = await verify(fileOf('front'));
    t.is(answered.code, 0, answered.stderr);
    t.regex(answered.stdout, /spiffe:\/\/test\/agent\/back to front, about orders\.default: #\d+ status 201/);
    t.is((await stat(fileOf('back'))).mode & 0o777, 0o600);
  },
);

test.serial('what was changed afterwards is proven no more, and the exit code says so', async (t) => {
  const { back, front, fileOf, verify } = await meshWith(t, [SIGNED]);
  for (const path of ['/a', '/b']) t.is((await ask(front.door, 'orders', path)).status, 200);
  await until(async () => (await written(back)) === 2, 'both requests are kept');
  const [first = '', second = ''] = (await readFile(fileOf('back'), 'utf8')).split('\n');
  const record = JSON.parse(first);
  const frames = Buffer.from(record.frames, 'base64').toString('latin1').replace('/a', '/x');
  const forged = JSON.stringify({ ...record, frames: Buffer.from(frames, 'latin1').toString('base64') });
  const file = join(await tempFolder(t), 'forged.jsonl');
  await writeFile(file, `${forged}\n${second}\n`);
  const { code, stdout } = await verify(file);
  t.is(code, 1);
  t.regex(stdout, /^line 1 {2}failed {2}front has not signed this packet$/m);
  t.regex(stdout, /^line 2 {2}ok .* GET \/b by checkout\.default/m);
});

test.serial('an agent that does not sign is refused, counted, and the application not asked', async (t) => {
  const { mesh, back } = await meshWith(t, [SIGNED]);
  const link = await intrude(t, mesh.nats.url, mesh.seed, ['checkout.default']);
  const ear = new Ear();
  const head = `POST / ${ORDERS} checkout.default 15000\r\nhost: orders\r\n`;
  link.openToService(ORDERS, head, true, ear, 1);
  await until(() => ear.heard.length > 0, 'an answer');
  t.deepEqual(ear.heard, ['reset evidence_missing']);
  t.is(await count(back, 'weft_packets_refused_total', 'evidence'), 1);
  t.is(await written(back), 0);
  const signed = new Ear();
  link.openToService(ORDERS, head, true, signed, 1, true);
  await until(() => signed.heard.length > 1, 'an answer');
  t.is(signed.heard[0]?.split('\r\n')[0], 'response 201 Created');
});

test.serial(
  'what policy denies is not kept: who may not ask cannot drive out what others have said',
  async (t) => {
    const { back, front, fileOf, verify } = await meshWith(t, [SIGNED, READERS]);
    t.is((await ask(front.door, 'orders', '/admin')).status, 403);
    t.is((await ask(front.door, 'orders', '/o')).status, 200);
    await until(async () => (await written(back)) > 0, 'it is kept');
    const { stdout } = await verify(fileOf('back'));
    t.regex(stdout, /GET \/o by/);
    t.notRegex(stdout, /admin/);
  },
);

test.serial('a large body goes both ways as before, each packet of it proven', async (t) => {
  const { back, front, fileOf, verify } = await meshWith(t, [SIGNED]);
  const body = randomBytes(3 * 1024 * 1024);
  const answer = await ask(front.door, 'orders', '/', { method: 'PUT' }, body);
  t.true(answer.body.equals(body));
  await Promise.all([back.agent.stop(), front.agent.stop()]);
  for (const host of ['back', 'front']) {
    const { code, stdout } = await verify(fileOf(host), '-o', 'json');
    t.is(code, 0);
    const statements = JSON.parse(stdout).packets.flatMap((one: { statements: object[] }) => one.statements);
    const bytes = statements.map((one: { type: string; bytes: number }) =>
      one.type === 'body' ? one.bytes : 0,
    );
    t.is(
      bytes.reduce((sum: number, some: number) => sum + some, 0),
      body.length,
      host,
    );
  }
});

test.serial('a service is asked for signatures, and no more, while requests go on', async (t) => {
  const { back, front, publish } = await meshWith(t, []);
  const held = (agent: TestAgent, revision: number) =>
    until(
      () =>
        (agent.agent.publications() as { snapshot: Record<string, Revision> }).snapshot[ORDERS]?.[1] ===
        revision,
      'the agent has it',
    );
  t.is((await ask(front.door, 'orders')).status, 200);
  t.is(await written(back), 0);
  for (const [at, resources] of [[SIGNED], [], [SIGNED]].entries()) {
    await publish(resources);
    // Whoever hears of it first: one of them may not know yet.
    t.is((await ask(front.door, 'orders', '/', { method: 'POST' }, 'x')).status, 201);
    await Promise.all([held(back, at + 2), held(front, at + 2)]);
    const before = await written(back);
    t.is((await ask(front.door, 'orders')).status, 200);
    if (resources.length > 0) await until(async () => (await written(back)) > before, 'it is kept');
    else t.is(await written(back), before);
  }
});

test.serial(
  'a TrafficPolicy that is applied is Programmed, and what it does not do yet is named',
  async (t) => {
    t.timeout(120_000);
    const mesh = await startMesh();
    t.teardown(mesh.stop);
    const application = await startApplication((_incoming, response) => response.end('ok'));
    t.teardown(application.stop);
    const controller = await startControllerProcess(t, mesh);
    await until(async () => (await controller.check()) === 0, 'the controller leads');
    const data = join(await tempFolder(t), 'back');
    const back = await mesh.make('back', [{ service: ORDERS, ports: [application.port] }], 5_000, data);
    await back.agent.start();
    const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
    await until(async () => (await ask(front.door, 'orders')).status === 200, 'orders answers');
    await controller.applied(SIGNED.replace('evidence:', 'limits: { concurrency: 5 }, evidence:'));
    const read = await controller.run('get', 'trafficpolicy/orders', '-o', 'json');
    const { items, status } = JSON.parse(read.stdout);
    const { conditions } = (items?.[0] ?? { status }).status;
    t.deepEqual(
      conditions.map(({ type, status: is }: { type: string; status: string }) => `${type} ${is}`),
      ['Accepted True', 'PartiallyInvalid True', 'Programmed True'],
    );
    t.is((await ask(front.door, 'orders')).status, 200);
    await until(async () => (await written(back)) > 0, 'it is kept');
  },
);
