/** The file and the server that reads it: who is enrolled gets in, who is not any more gets out, and nobody else notices. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import test from 'ava';
import { createNatsConfigFile, type NatsConfigResult, writeNatsConfig } from '../../src/nats/config-file.ts';
import type { NatsUsers } from '../../src/nats/users.ts';
import { agentInbox, heartbeatSubject, QUEUE, serviceSubject } from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { createKey, MESH, mayHear, mayPublish, startConfigured, startWalledNats } from './walled-nats.ts';

const key = () => createKey().publicKey;
const nobody = (): NatsUsers => ({
  agents: [],
  operators: [],
  controllers: [key()],
  join: key(),
  system: key(),
});
const optionsIn = (folder: string) => ({
  mesh: MESH,
  file: join(folder, 'nats.conf'),
  pidFile: join(folder, 'nats.pid'),
  storeDir: join(folder, 'store'),
  storeBytesMax: 64 * 1024 * 1024,
});

/** What has happened to a connection besides messages. */
function disturbances(connection: NatsConnection): string[] {
  const seen: string[] = [];
  const follow = async () => {
    for await (const { type } of connection.status()) seen.push(type);
  };
  void follow();
  return seen;
}

test('an agent that is enrolled gets in without a new start of the server, and nobody else notices', async (t) => {
  const nats = await startWalledNats(t);
  const known = await nats.dial('app-1');
  const controller = await nats.dial('controller');
  const seen = [...[known, controller].map(disturbances)];
  const heard: string[] = [];
  known.subscribe(serviceSubject(MESH, 'orders.default'), {
    queue: QUEUE,
    callback: (_, message) => void heard.push(message.string()),
  });
  controller.subscribe(heartbeatSubject(MESH, '*'), {
    callback: (_, { subject }) => void heard.push(subject),
  });
  await Promise.all([known.flush(), controller.flush()]);

  const added = createKey();
  const inbox = agentInbox(MESH, 'app-2');
  await t.throwsAsync(nats.dialWith(added, inbox), { message: /authorization/i });
  const agents = [
    ...nats.users.agents,
    { agent: 'app-2', key: added.publicKey, workloads: ['orders.default'] },
  ];
  t.is(await writeNatsConfig({ ...nats.users, agents }, nats.options), 'reloaded');
  const fresh = await until(() => nats.dialWith(added, inbox), 'the new agent gets in');
  t.true(await mayHear(fresh, serviceSubject(MESH, 'orders.default'), QUEUE));
  t.false(await mayPublish(fresh, heartbeatSubject(MESH, 'app-1')));

  fresh.publish(serviceSubject(MESH, 'orders.default'), 'a request');
  fresh.publish(heartbeatSubject(MESH, 'app-2'), 'beat');
  await until(
    () => heard.includes('a request') && heard.includes(heartbeatSubject(MESH, 'app-2')),
    'both are heard',
  );
  t.deepEqual(seen.flat(), []);
});

test('an agent that is cut off is out at once, and what another one may serve changes under its feet', async (t) => {
  const nats = await startWalledNats(t);
  const [cut, kept] = [await nats.dial('web-1'), await nats.dial('app-1')];
  const seen = disturbances(kept);
  t.false(await mayHear(kept, serviceSubject(MESH, 'checkout.default'), QUEUE));
  const agents = nats.users.agents
    .filter(({ agent }) => agent !== 'web-1')
    .map((one) => ({ ...one, workloads: ['checkout.default'] }));
  t.is(await writeNatsConfig({ ...nats.users, agents }, nats.options), 'reloaded');
  await cut.closed();
  await t.throwsAsync(nats.dial('web-1'), { message: /authorization/i });
  t.true(await mayHear(kept, serviceSubject(MESH, 'checkout.default'), QUEUE));
  t.false(await mayHear(kept, serviceSubject(MESH, 'orders.default'), QUEUE));
  // Its own subscriptions that were refused above.
  t.deepEqual(
    seen.filter((type) => type !== 'error'),
    [],
  );
});

test('a file that says so already is not touched, and it is whole and readable', async (t) => {
  const folder = await tempFolder(t);
  const [options, users] = [optionsIn(folder), nobody()];
  t.is(await writeNatsConfig(users, options), 'written');
  const before = await stat(options.file);
  t.is(before.mode & 0o777, 0o644);
  t.is(await writeNatsConfig(users, options), 'unchanged');
  t.is((await stat(options.file)).ino, before.ino);
  t.is(await writeNatsConfig({ ...users, join: key() }, options), 'written');
  t.deepEqual(await readdir(folder), ['nats.conf']);
});

test('malformed users change nothing', async (t) => {
  const options = optionsIn(await tempFolder(t));
  const users = nobody();
  await writeNatsConfig(users, options);
  const before = await readFile(options.file, 'utf8');
  await t.throwsAsync(writeNatsConfig({ ...users, join: 'nobody' }, options), { code: 'internal' });
  t.is(await readFile(options.file, 'utf8'), before);
});

test('a process that is no nats-server is left alone, whatever the pid file says', async (t) => {
  const options = optionsIn(await tempFolder(t));
  const other = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  t.teardown(() => other.kill('SIGKILL'));
  for (const text of [`${other.pid}\n`, '0', '-1', '', 'nats', '99999999999999', `${process.pid} x`]) {
    await writeFile(options.pidFile, text);
    t.is(await writeNatsConfig(nobody(), options), 'written');
  }
  other.stdin?.end();
  // SIGHUP would have ended it by that signal.
  t.deepEqual(await once(other, 'exit'), [0, null]);
});

test('changes that come together are written once, the last of them', async (t) => {
  const options = optionsIn(await tempFolder(t));
  const delayed: (() => void)[] = [];
  const results: NatsConfigResult[] = [];
  const file = createNatsConfigFile({
    options,
    delay: (_, then) => {
      delayed.push(then);
      return () => {};
    },
    written: (result) => void results.push(result),
    failed: (error) => t.fail(String(error)),
  });
  const users = nobody();
  const last = { ...users, join: key() };
  file.update({ ...users, join: key() });
  file.update(users);
  file.update(last);
  t.is(delayed.length, 1);
  delayed[0]!();
  await file.flush();
  t.deepEqual(results, ['written']);
  t.true((await readFile(options.file, 'utf8')).includes(last.join));
  file.update(last);
  await file.flush();
  t.deepEqual(results, ['written', 'unchanged']);
  await file.stop();
  file.update(users);
  await file.flush();
  t.is(results.length, 2);
});

test('what could not be written is tried again, unless there is something newer', async (t) => {
  const folder = join(await tempFolder(t), 'not', 'there');
  const options = optionsIn(folder);
  const delayed: { ms: number; then: () => void }[] = [];
  const failures: unknown[] = [];
  const written = Promise.withResolvers<NatsConfigResult>();
  const file = createNatsConfigFile({
    options,
    delay: (ms, then) => {
      delayed.push({ ms, then });
      return () => {};
    },
    written: written.resolve,
    failed: (error) => void failures.push(error),
  });
  const users = nobody();
  file.update(users);
  await file.flush();
  t.is(failures.length, 1);
  await mkdir(dirname(options.file), { recursive: true });
  const again = delayed.at(-1)!;
  t.true(again.ms > delayed[0]!.ms);
  again.then();
  t.is(await written.promise, 'written');
  t.true((await readFile(options.file, 'utf8')).includes(users.join));
  await file.stop();
});

test('a server that was not told before its controller ended is told when there is one again', async (t) => {
  const nats = await startWalledNats(t);
  const added = createKey();
  const agents = [...nats.users.agents, { agent: 'app-2', key: added.publicKey, workloads: [] }];
  const users = { ...nats.users, agents };
  await writeNatsConfig(users, { ...nats.options, pidFile: join(dirname(nats.options.file), 'none') });
  // The same text but for the pid file's name, as a controller leaves it that ends before the signal.
  await writeFile(
    nats.options.file,
    (await readFile(nats.options.file, 'utf8')).replace('/none"', '/nats.pid"'),
  );
  await t.throwsAsync(nats.dialWith(added, agentInbox(MESH, 'app-2')));
  const results: NatsConfigResult[] = [];
  const file = createNatsConfigFile({
    options: nats.options,
    delay: () => () => {},
    written: (result) => void results.push(result),
    failed: (error) => t.fail(String(error)),
  });
  file.update(users);
  await file.flush();
  file.update(users);
  await file.flush();
  t.deepEqual(results, ['reloaded', 'unchanged']);
  await until(() => nats.dialWith(added, agentInbox(MESH, 'app-2')), 'the agent gets in');
  await file.stop();
});

test('JetStream goes on through a reload', async (t) => {
  const folder = await tempFolder(t);
  const [options, users] = [optionsIn(folder), nobody()];
  await writeNatsConfig(users, options);
  const lines: string[] = [];
  await startConfigured(t, options.file, (line) => void lines.push(line));
  await writeNatsConfig({ ...users, join: key() }, options);
  await until(
    () => lines.some((line) => line.includes('Reloaded server configuration')),
    'it has read it again',
  );
  t.deepEqual(
    lines.filter((line) => /Reloaded: JetStream|JetStream Shutdown|\[ERR\]/.test(line)),
    [],
  );
});
