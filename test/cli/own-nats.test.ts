import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { findNatsServer } from '../../src/cli/nats-binary.ts';
import { ensureNatsKeys } from '../../src/cli/nats-keys.ts';
import { startNatsServer } from '../../src/cli/nats-server.ts';
import { ownNatsConfig, startOwnNats } from '../../src/cli/own-nats.ts';
import { openBuckets } from '../../src/controller/buckets.ts';
import { connectController } from '../../src/controller/connect.ts';
import { writeNatsConfig } from '../../src/nats/config-file.ts';
import { runningNatsServer } from '../../src/nats/server-process.ts';
import type { NatsUsers } from '../../src/nats/users.ts';
import { until } from '../kit/mesh.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { createKey } from '../nats/walled-nats.ts';

test('the own server of a mesh lets in whom its configuration names, keeps its port, and reads the file anew', async (t) => {
  const folder = await tempFolder(t);
  const keys = await ensureNatsKeys(folder);
  const options = ownNatsConfig(folder, 'shop');
  const users: NatsUsers = {
    agents: [],
    operators: [],
    controllers: [keys.controller.publicKey],
    join: keys.join.publicKey,
    system: keys.system.publicKey,
  };
  await writeNatsConfig(users, options);
  const nats = await startOwnNats(0, folder, () => {}, options);
  t.teardown(() => nats.supervised.stop(2_000));
  await t.throwsAsync(connect({ servers: nats.url, reconnect: false }), { message: /authorization/i });
  const dial = (natsSeed: string) => connectController({ servers: [nats.url], natsSeed });
  await (await dial(keys.controller.seed)).close();

  const added = createKey();
  const controllers = [...users.controllers, added.publicKey];
  t.is(await writeNatsConfig({ ...users, controllers }, options), 'reloaded');
  await (await until(() => dial(added.seed), 'the added user gets in')).close();

  const first = await runningNatsServer(options.pidFile!);
  process.kill(first!, 'SIGKILL');
  await (await until(() => dial(added.seed), 'it is back at its port, with the file as it is now')).close();
  t.not(await runningNatsServer(options.pidFile!), first);
});

test('what a mesh has kept before its server had permissions is still there with them', async (t) => {
  const folder = await tempFolder(t);
  const keys = await ensureNatsKeys(folder);
  const binary = await findNatsServer(process.env.PATH ?? '');
  const plain = await startNatsServer({ binary, port: 0, storeDir: join(folder, 'nats'), onLine() {} });
  const before = await connectController({ servers: [plain.url] });
  await (await openBuckets(before, 'shop')).policy.put('some.resource', 'kept');
  await before.close();
  plain.signal('SIGTERM');
  await plain.exited;

  const options = ownNatsConfig(folder, 'shop');
  const { controller, join: joining, system } = keys;
  const users = { agents: [], operators: [], join: joining.publicKey, system: system.publicKey };
  await writeNatsConfig({ ...users, controllers: [controller.publicKey] }, options);
  const nats = await startOwnNats(0, folder, () => {}, options);
  t.teardown(() => nats.supervised.stop(2_000));
  const connection = await connectController({ servers: [nats.url], natsSeed: controller.seed });
  t.teardown(() => connection.close());
  const { policy } = await openBuckets(connection, 'shop');
  t.is((await policy.get('some.resource'))?.string(), 'kept');
});
