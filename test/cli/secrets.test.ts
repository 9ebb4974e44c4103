/** Secrets of a mesh stand in their own files, which nobody else can read, and nowhere else. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { openBuckets } from '../../src/controller/buckets.ts';
import { connectController } from '../../src/controller/connect.ts';
import { readJoinToken, tokenSecret } from '../../src/protocol/enrolment.ts';
import { natsUser } from '../../src/protocol/nats-user.ts';
import { publicNkeyOf } from '../../src/protocol/nkey.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { serviceSecret } from '../../src/protocol/service-key.ts';
import { observationsSubject, userInbox } from '../../src/protocol/subjects.ts';
import { freePort } from '../kit/free-port.ts';
import { ask, startApplication, until } from '../kit/mesh.ts';
import { type Secret, secretBytes, secretFiles, secretSeed, secretsIn, secretText } from '../kit/secrets.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft, type WeftProcess } from '../kit/weft-process.ts';

const MESH = 'shop';
/** Of what callers send and applications answer. */
const CANARY = 'canary-c41f09d2';
/** Commands that run at the same time. */
const AT_ONCE = 3;

/** Below the folder of mesh.yaml; those in `damaged` are the test's own, and evidence holds bodies. */
const SECRET_FILES = [
  '.weft/controller.nk',
  '.weft/data/app-1/evidence/orders.default.jsonl',
  '.weft/data/app-1/identity/KEY.key',
  '.weft/data/web-1/evidence/orders.default.jsonl',
  '.weft/data/web-1/identity/KEY.key',
  '.weft/join.nk',
  '.weft/operator.nk',
  '.weft/root.nk',
  '.weft/system.nk',
  'ada.operator',
  'damaged/operator',
  'damaged/root.nk',
];

const RESOURCES = `apiVersion: weft.dev/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, evidence: signed }
---
apiVersion: weft.dev/v1
kind: AuthorizationPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  action: DENY
  rules: [{ to: [{ paths: ["/denied"] }] }]
`;

/** A mesh with permissions on and everything logged. */
async function startUp(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const application = await startApplication((incoming, response) => {
    incoming.resume().on('end', () => response.end(CANARY));
  });
  t.teardown(application.stop);
  const [door, admin, other] = await Promise.all([freePort(), freePort(), freePort()]);
  await writeFile(join(folder, 'resources.yaml'), RESOURCES);
  await writeFile(
    join(folder, 'mesh.yaml'),
    `mesh: ${MESH}
nats: { port: 0 }
policies: [resources.yaml]
agents:
  - { host: web-1, admin: "127.0.0.1:${admin}", workloads: [{ service: checkout, listen: "127.0.0.1:${door}" }] }
  - { host: app-1, admin: "127.0.0.1:${other}", workloads: [{ service: orders, upstream: ["http://127.0.0.1:${application.port}"] }] }
`,
  );
  const options = { cwd: folder, env: { WEFT_CONTEXT: '', WEFT_OPERATOR: '' } };
  const up = startWeft(t, ['up', '-f', 'mesh.yaml', '--log-level', 'trace'], options);
  await up.line(/^weft: ready$/);
  const file = (...names: readonly string[]) => join(folder, '.weft', ...names);
  const { nats } = JSON.parse(await readFile(file('context.json'), 'utf8')) as { nats: string[] };
  return {
    folder,
    file,
    nats,
    up,
    door,
    admins: [admin, other],
    begin: (...args: string[]) => startWeft(t, args, options),
  };
}

type Up = Awaited<ReturnType<typeof startUp>>;

/** Every secret that is in the files of the mesh, or follows from them. @param tokens numbers of join tokens */
async function secretsOf({ file }: Up, tokens: readonly string[]): Promise<Secret[]> {
  const secrets: Secret[] = [];
  const seeds = (await readdir(file())).filter((name) => name.endsWith('.nk'));
  for (const name of seeds) secrets.push(secretSeed(name, (await readFile(file(name), 'utf8')).trim()));
  const root = readRoot(await readFile(file('root.nk'), 'utf8'));
  for (const host of ['web-1', 'app-1']) {
    const folder = file('data', host, 'identity');
    for (const name of (await readdir(folder)).filter((one) => one.endsWith('.key'))) {
      const { seed, x25519 } = JSON.parse(await readFile(join(folder, name), 'utf8'));
      secrets.push(secretSeed(`${host} seed`, seed));
      secrets.push(secretBytes(`${host} x25519`, Buffer.from(x25519, 'base64url')));
    }
    const { keys } = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8'));
    for (const { service, epoch } of keys as { service: string; epoch: number }[]) {
      secrets.push(secretBytes(`key of ${service}`, serviceSecret(root, MESH, service, epoch)));
    }
  }
  for (const id of tokens) {
    secrets.push(secretBytes(`token ${id}`, Buffer.from(tokenSecret(root, id), 'base64url')));
  }
  return secrets;
}

/** All that the buckets hold and have held, as text. */
async function bucketsOf(t: ExecutionContext, { file, nats }: Up): Promise<string> {
  const natsSeed = (await readFile(file('controller.nk'), 'utf8')).trim();
  const connection = await connectController({ servers: nats, natsSeed });
  t.teardown(() => connection.close());
  const texts: string[] = [];
  for (const bucket of Object.values(await openBuckets(connection, MESH))) {
    for await (const key of await bucket.keys()) {
      for await (const entry of await bucket.history({ key })) texts.push(`${key} ${entry.string()}`);
    }
  }
  return texts.join('\n');
}

/** Keeps what people can observe on the bus. */
async function observe(t: ExecutionContext, { file, nats }: Up): Promise<Buffer[]> {
  const seed = (await readFile(file('operator.nk'), 'utf8')).trim();
  const user = natsUser(() => seed, userInbox(publicNkeyOf('user', seed) ?? ''));
  const connection = await connect({ servers: nats, ...user });
  t.teardown(() => connection.close());
  const heard: Buffer[] = [];
  connection.subscribe(observationsSubject(MESH), {
    callback: (_error, { data }) => void heard.push(Buffer.from(data)),
  });
  await connection.flush();
  return heard;
}

async function inTurns<T>(all: readonly (() => Promise<T>)[]): Promise<void> {
  const left = [...all];
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await next();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

test('no log, error, output, page, bucket or observation holds a secret; files that do are for their owner alone', async (t) => {
  t.timeout(60_000);
  const mesh = await startUp(t);
  const { folder, file, door, admins, up, begin } = mesh;
  const heard = await observe(t, mesh);
  const token = begin('token', 'create', '--host', 'spare', '--workloads', 'orders');
  const operator = begin('operator', 'create', 'ada', '--role', 'admin', '--out', 'ada.operator');
  t.deepEqual(await Promise.all([token.exited, operator.exited]), [0, 0], token.stderr() + operator.stderr());
  const tokenLine = token.stdout().trim();
  const joinToken = readJoinToken(tokenLine);

  const headers = { authorization: `Bearer ${CANARY}`, cookie: `session=${CANARY}` };
  const requests = [
    ['GET', 'orders', '/', 200],
    ['POST', 'orders', '/', 200],
    ['POST', 'orders', '/denied', 403],
    ['POST', 'nobody', '/', 503],
  ] as const;
  for (const [method, service, path, status] of requests) {
    const answer = await ask(door, service, path, { method, headers }, method === 'POST' ? CANARY : '');
    t.is(answer.status, status);
  }
  await until(
    async () => (await readFile(file('data', 'app-1', 'evidence', 'orders.default.jsonl'))).length > 0,
    'it is kept',
  );

  // What is wrong in a file, or as an argument, is said without what stands there.
  const root = (await readFile(file('root.nk'), 'utf8')).trim();
  const damaged = join(folder, 'damaged');
  await mkdir(damaged, { mode: 0o700 });
  const spoilt = async (name: string, text: string) => {
    await writeFile(join(damaged, name), text, { mode: 0o600 });
    return join(damaged, name);
  };
  const cut = await spoilt('root.nk', `${root}\n${root}`);
  const ada = await readFile(join(folder, 'ada.operator'), 'utf8');
  const cutOperator = await spoilt('operator', ada.trimEnd().slice(0, -1));
  const agentFile = await spoilt(
    'agent.yaml',
    `mesh: ${MESH}\nhost: other\nnats: { servers: ["${mesh.nats[0]}"] }\nadmin: 127.0.0.1:${await freePort()}\ndata: ${damaged}\nworkloads: [{ service: orders, upstream: ["http://127.0.0.1:1"] }]\n`,
  );
  const commands: string[][] = [
    ['get', 'all', '-A', '-o', 'yaml'],
    ['get', 'identities', '-o', 'yaml'],
    ['get', 'operators', '-o', 'json', '--operator', 'ada.operator'],
    ['describe', 'agent/web-1', '-o', 'json'],
    ['describe', 'service/orders', '-o', 'yaml'],
    ['history', 'trafficpolicy/orders', '-o', 'yaml'],
    ['audit', '-o', 'json'],
    ['verify', file('data', 'app-1', 'evidence', 'orders.default.jsonl'), '-o', 'json'],
    ['check', '-o', 'json'],
  ];
  const refused: string[][] = [
    ['get', 'agents', '--root', cut],
    ['get', 'agents', '--operator', cutOperator],
    ['verify', file('data', 'app-1', 'evidence', 'orders.default.jsonl'), '--root', root],
    ['agent', '-f', agentFile, '--join', tokenLine.slice(0, -3), '--log-level', 'trace'],
    ['agent', '-f', agentFile, '--join', tokenLine, '--log-level', 'trace'],
  ];
  const runs: { readonly args: string[]; readonly weft: WeftProcess }[] = [];
  const run = (args: string[], ok: boolean) => async () => {
    const weft = begin(...args);
    runs.push({ args, weft });
    t.is((await weft.exited) === 0, ok, `${args.join(' ')}: ${weft.stderr()}`);
  };
  await inTurns([...commands.map((args) => run(args, true)), ...refused.map((args) => run(args, false))]);

  const pages: string[] = [];
  for (const admin of admins) {
    for (const path of ['/config', '/metrics', '/readyz'])
      pages.push((await ask(admin, 'localhost', path)).body.toString());
  }
  const kept = await bucketsOf(t, mesh);
  await until(() => heard.length > 0, 'agents are heard');
  up.child.kill('SIGTERM');
  t.is(await up.exited, 0);

  const tokens = [...new Set(kept.match(/\b[0-9a-f]{32}\b/g))];
  t.true(tokens.includes(joinToken.id));
  const secrets = [
    ...(await secretsOf(mesh, tokens)),
    secretText('token', tokenLine),
    secretSeed('seed of ada', JSON.parse(ada).seed),
    secretText('canary', CANARY),
  ];
  const names = secrets.map(({ name }) => name);
  for (const name of [
    'root.nk',
    'operator.nk',
    'controller.nk',
    'join.nk',
    'web-1 seed',
    'app-1 x25519',
    'key of orders.default',
  ]) {
    t.true(names.includes(name), name);
  }

  const silent = (what: string, content: string | Uint8Array) =>
    t.deepEqual(secretsIn(content, secrets), [], what);
  silent('the log of up', up.stdout() + up.stderr());
  silent('token create', token.stderr());
  silent('operator create', operator.stdout() + operator.stderr());
  for (const { args, weft } of runs) silent(args.slice(0, 4).join(' '), weft.stdout() + weft.stderr());
  for (const page of pages) silent('a page', page);
  silent('the buckets', kept);
  silent('what is observed', Buffer.concat(heard));

  const files = await secretFiles(folder, secrets);
  for (const { file: path, modes } of files) t.is(modes, '600 700', relative(folder, path));
  const named = files.map(({ file: path }) => relative(folder, path).replace(/U[A-Z2-7]{55}/, 'KEY'));
  t.deepEqual(named.sort(), SECRET_FILES);
});
