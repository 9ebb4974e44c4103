import { once } from 'node:events';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { freePort } from '../kit/free-port.ts';
import { ask, until } from '../kit/mesh.ts';
import { startNats } from '../kit/nats-server.ts';
import { childrenOf, isRunning } from '../kit/process-tree.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

/** A mesh.yaml with a caller on one agent and a service on another. */
async function prepare(t: ExecutionContext, nats = '{ port: 0 }') {
  const folder = await tempFolder(t);
  const backend = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  t.teardown(() => backend.close().closeAllConnections());
  await once(backend, 'listening');
  const [door, ...admins] = [await freePort(), await freePort(), await freePort()];
  const file = join(folder, 'mesh.yaml');
  await writeFile(
    file,
    `mesh: shop
nats: ${nats}
agents:
  - host: web-1
    admin: 127.0.0.1:${admins[0]}
    workloads: [{ service: checkout, listen: "127.0.0.1:${door}" }]
  - host: app-1
    admin: 127.0.0.1:${admins[1]}
    workloads: [{ service: orders, upstream: ["http://127.0.0.1:${(backend.address() as AddressInfo).port}"] }]
`,
  );
  return { file, door: door! };
}

async function untilGone(children: readonly { readonly pid: number; readonly command: string }[]) {
  for (const { pid, command } of children)
    await until(async () => !(await isRunning(pid)), `${command} ends`);
}

test.serial('up brings a mesh to life, and takes all of it along when it ends', async (t) => {
  const { file, door } = await prepare(t);
  const weft = startWeft(t, ['up', '-f', file]);
  t.is(await weft.line(/^weft: ready$/), 'weft: ready');
  t.is((await ask(door, 'orders')).body.toString(), 'hello');
  const children = await childrenOf(weft.child.pid!);
  t.is(children.length, 5, 'nats-server with its guard, controller, and two agents');
  weft.child.kill('SIGINT');
  t.is(await weft.exited, 0);
  t.is(weft.stdout(), 'weft: ready');
  await untilGone(children);
});

test.serial('one folder runs one mesh, and nothing outlives an up that was killed', async (t) => {
  const { file } = await prepare(t);
  const weft = startWeft(t, ['up', '-f', file]);
  await weft.line(/^weft: ready$/);
  const second = startWeft(t, ['up', '-f', file]);
  t.is(await second.exited, 1);
  t.regex(second.stderr(), new RegExp(`process ${weft.child.pid} holds .*up\\.lock`));
  const children = await childrenOf(weft.child.pid!);
  t.is(children.length, 5);
  weft.child.kill('SIGKILL');
  await untilGone(children);
  const again = startWeft(t, ['up', '-f', file]);
  t.is(await again.line(/^weft: ready$/), 'weft: ready', 'the lock that was left behind is taken over');
});

test.serial('an agent or a nats-server that dies comes back, and the mesh with it', async (t) => {
  const { file, door } = await prepare(t);
  const weft = startWeft(t, ['up', '-f', file]);
  await weft.line(/^weft: ready$/);
  const children = await childrenOf(weft.child.pid!);
  const kill = (command: RegExp) =>
    process.kill(children.find((child) => command.test(child.command))!.pid, 'SIGKILL');
  kill(/nats-server -a/);
  await weft.line(/^weft: nats-server ended \(SIGKILL\); starting again/);
  kill(/app-1\.json/);
  await weft.line(/^weft: agent app-1 ended \(SIGKILL\); starting again/);
  t.true(await until(async () => (await ask(door, 'orders')).status === 200, 'it serves again'));
});

test.serial('a port that is taken ends up before it began, and leaves nothing', async (t) => {
  const { file, door } = await prepare(t);
  const other = createTcpServer().listen(door, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const weft = startWeft(t, ['up', '-f', file]);
  t.is(await weft.exited, 1);
  t.regex(weft.stderr(), new RegExp(`^web-1 \\| .*checkout\\.default.*127\\.0\\.0\\.1:${door}`, 'm'));
  t.regex(weft.stderr(), /^weft: agent web-1 ended at start \(exit code 1\)/m);
});

test.serial('a NATS that runs already is used, and left running', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const { file, door } = await prepare(t, `{ servers: ["${nats.url}"] }`);
  const weft = startWeft(t, ['up', '-f', file]);
  await weft.line(/^weft: ready$/);
  t.is((await childrenOf(weft.child.pid!)).length, 3);
  t.is((await ask(door, 'orders')).body.toString(), 'hello');
  weft.child.kill('SIGTERM');
  t.is(await weft.exited, 0);
});

test.serial(
  'policies of mesh.yaml hold when up is ready; faults in them are told before anything starts',
  async (t) => {
    const { file, door } = await prepare(t);
    const folder = dirname(file);
    await appendFile(file, 'policies: [policies]\n');
    await mkdir(join(folder, 'policies'));
    const policy = join(folder, 'policies', 'orders.yaml');
    const rules = '[{ matches: [{ path: { value: /v1 } }], backendRefs: [{ name: orders, port: 80 }] }]';
    const head = 'apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: orders }\n';
    const spec = `spec:\n  parentRefs: [{ group: "", kind: Service, name: orders }]\n  rules: ${rules}\n`;
    await writeFile(policy, `${head}${spec.replace('rules', 'rulez')}`);
    const refused = startWeft(t, ['up', '-f', file]);
    t.is(await refused.exited, 2);
    t.regex(refused.stderr(), /orders\.yaml:6:.*rulez/);
    await writeFile(policy, `${head}${spec}`);
    const weft = startWeft(t, ['up', '-f', file]);
    await weft.line(/^weft: ready$/);
    await until(
      async () => (await ask(door, 'orders', '/v1/x')).status === 200,
      'what the route lets through is served',
    );
  },
);

test.serial('faults in mesh.yaml are told at once, with exit code 2', async (t) => {
  const file = join(await tempFolder(t), 'mesh.yaml');
  await writeFile(file, 'mesh: A\nagents: []\nagent: 1\n');
  const weft = startWeft(t, ['up', '-f', file]);
  t.is(await weft.exited, 2);
  t.is(weft.stderr().split('\n').length, 3);
});
