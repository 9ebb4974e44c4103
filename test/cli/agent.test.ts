import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createRoot } from '../../src/protocol/root.ts';
import { freePort } from '../kit/free-port.ts';
import { startGranter } from '../kit/granter.ts';
import { giveIdentity } from '../kit/identity-file.ts';
import { ask, MESH, until } from '../kit/mesh.ts';
import { startNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

/** A folder with an identity and an agent.yaml of one workload that calls and serves itself. */
async function prepare(t: ExecutionContext, natsPort: number, upstreamPort = 1, mesh = 'shop') {
  const folder = await tempFolder(t);
  if (mesh === 'shop') {
    const data = join(folder, '.weft', 'data', 'web-1');
    await giveIdentity(data, createRoot().seed, 'shop', 'web-1', ['a.default']);
  }
  const [admin, door] = [await freePort(), await freePort()];
  const file = join(folder, 'agent.yaml');
  await writeFile(
    file,
    `mesh: ${mesh}
host: web-1
nats: { servers: ["nats://127.0.0.1:${natsPort}"] }
admin: 127.0.0.1:${admin}
authorization: { default: allow }
workloads:
  - { service: a, listen: "127.0.0.1:${door}", upstream: ["http://127.0.0.1:${upstreamPort}"] }
`,
  );
  const ready = async () => {
    const answer = await fetch(`http://127.0.0.1:${admin}/readyz`);
    return { status: answer.status, ...((await answer.json()) as { state: string; reasons: string[] }) };
  };
  return { file, data: join(folder, '.weft', 'data', 'web-1'), door, admin, ready };
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

test.serial('a host without identity and token ends, and is told how to get one', async (t) => {
  const { file } = await prepare(t, await freePort(), 1, MESH);
  const weft = startWeft(t, ['agent', '-f', file]);
  t.is(await weft.exited, 1);
  t.regex(
    weft.stderr(),
    /^weft: no identity of web-1 in .*identity.*weft token create --host web-1 --workloads a\.default/m,
  );
});

for (const [how, option] of [
  ['WEFT_JOIN_TOKEN', (token: string) => ({ args: [], env: { WEFT_JOIN_TOKEN: token } })],
  ['--join', (token: string) => ({ args: ['--join', token], env: {} })],
] as const) {
  test.serial(`a host joins by ${how}, and nowhere is the token to be seen`, async (t) => {
    const nats = await startNats();
    t.teardown(nats.stop);
    const granter = await startGranter(t, nats.url, createRoot().seed);
    const { file, ready } = await prepare(t, nats.port, 1, MESH);
    const token = granter.invite('web-1', ['a.default']);
    const { args, env } = option(token);
    const first = startWeft(t, ['agent', '-f', file, '--log-level', 'trace', ...args], { env });
    await until(async () => (await ready()).status === 200, 'it is ready');
    first.child.kill('SIGTERM');
    t.is(await first.exited, 0);
    t.false(first.stderr().includes(token) || first.stdout().includes(token));
    t.notRegex(first.stderr(), /SU[A-Z2-7]{56}/);
    const again = startWeft(t, ['agent', '-f', file]);
    await until(async () => (await ready()).status === 200, 'it is ready without a token');
    again.child.kill('SIGTERM');
    t.is(await again.exited, 0);
  });
}

test.serial('damaged files of an identity end the start, and nothing is begun anew', async (t) => {
  const { file, data } = await prepare(t, await freePort());
  const state = join(data, 'identity', 'state.json');
  await writeFile(state, (await readFile(state, 'utf8')).slice(0, 200));
  const weft = startWeft(t, ['agent', '-f', file, '--join', 'weft1.x']);
  t.is(await weft.exited, 1);
  t.regex(weft.stderr(), /^weft: .*state\.json is damaged/m);
  t.is((await readFile(state, 'utf8')).length, 200);
});

test.serial('while it waits to be enrolled an agent says for what, and ends with its parent', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const granter = await startGranter(t, nats.url, createRoot().seed);
  granter.settings.refuses = { code: 'not_leading', message: 'nobody leads' };
  const { file } = await prepare(t, nats.port, 1, MESH);
  const env = { WEFT_JOIN_TOKEN: granter.invite('web-1', ['a.default']), WEFT_PARENT: 'stdin' };
  const weft = startWeft(t, ['agent', '-f', file], { env });
  await weft.line(/nobody leads.*not enrolled yet/);
  weft.child.stdin?.end();
  t.is(await weft.exited, 1);
});
