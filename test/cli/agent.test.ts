import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createMesh, meshFolder } from '../../src/cli/mesh-folder.ts';
import { freePort } from '../kit/free-port.ts';
import { ask, until } from '../kit/mesh.ts';
import { startNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

/** A folder with a root and an agent.yaml of one workload that calls and serves itself. */
async function prepare(t: ExecutionContext, natsPort: number, upstreamPort = 1) {
  const folder = await tempFolder(t);
  await createMesh(meshFolder(join(folder, '.weft')), 'shop', []);
  const [admin, door] = [await freePort(), await freePort()];
  const file = join(folder, 'agent.yaml');
  await writeFile(
    file,
    `mesh: shop
host: web-1
nats: { servers: ["nats://127.0.0.1:${natsPort}"] }
admin: 127.0.0.1:${admin}
workloads:
  - { service: a, listen: "127.0.0.1:${door}", upstream: ["http://127.0.0.1:${upstreamPort}"] }
`,
  );
  const ready = async () => {
    const answer = await fetch(`http://127.0.0.1:${admin}/readyz`);
    return { status: answer.status, ...((await answer.json()) as { state: string; reasons: string[] }) };
  };
  return { file, door, admin, ready };
}

test.serial('a bad configuration ends with all that is wrong, and exit code 2', async (t) => {
  const file = join(await tempFolder(t), 'agent.yaml');
  await writeFile(file, 'mesh: A\nhosst: b\n');
  const weft = startWeft(t, ['agent', '-f', file]);
  t.is(await weft.exited, 2);
  for (const fault of [':1:1: mesh: ', ':2:1: hosst: ', 'host: ', 'nats: ', 'admin: ', 'workloads: ']) {
    t.true(weft.stderr().includes(fault), fault);
  }
});

test.serial(
  'without NATS an agent says why it is not ready; with it, it serves, and SIGTERM drains it',
  async (t) => {
    const natsPort = await freePort();
    const { file, door, ready } = await prepare(t, natsPort);
    const weft = startWeft(t, ['agent', '-f', file]);
    const before = await until(ready, 'it answers');
    t.is(before.status, 503);
    t.is(before.state, 'connecting');
    t.is(before.reasons.length, 1);
    const answer = await ask(door, 'other');
    t.deepEqual([answer.status, JSON.parse(answer.body.toString()).code], [503, 'bus_down']);

    const nats = await startNats({ port: natsPort });
    t.teardown(nats.stop);
    await until(async () => (await ready()).status === 200, 'it is ready');
    weft.child.kill('SIGTERM');
    t.is(await weft.exited, 0);
  },
);

test.serial('a second signal ends an agent at once', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const silent = createServer().listen(0, '127.0.0.1');
  t.teardown(() => silent.close().closeAllConnections());
  await once(silent, 'listening');
  const { file, door, ready } = await prepare(t, nats.port, (silent.address() as AddressInfo).port);
  const weft = startWeft(t, ['agent', '-f', file]);
  await until(async () => (await ready()).status === 200, 'it is ready');

  const asked = once(silent, 'request');
  const client = connect(door, '127.0.0.1').on('error', () => {});
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await asked;
  weft.child.kill('SIGTERM');
  await weft.line(/"state":"draining"/);
  weft.child.kill('SIGTERM');
  t.is(await weft.exited, 1);
});

test.serial('an agent ends with the parent that holds its stdin', async (t) => {
  const { file, ready } = await prepare(t, await freePort());
  const weft = startWeft(t, ['agent', '-f', file], { env: { WEFT_PARENT: 'stdin' } });
  await until(ready, 'it answers');
  weft.child.stdin?.end();
  t.is(await weft.exited, 1);
});

test.serial('a door whose port is taken is named with its workload, and ends the agent', async (t) => {
  const { file, door } = await prepare(t, await freePort());
  const other = createTcpServer().listen(door, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const weft = startWeft(t, ['agent', '-f', file]);
  t.is(await weft.exited, 1);
  t.regex(weft.stderr(), new RegExp(`^weft: .*a\\.default.*127\\.0\\.0\\.1:${door}`, 'm'));
});
