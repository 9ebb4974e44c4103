import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { findNatsServer, isRecentEnough } from '../../src/cli/nats-binary.ts';
import { startNatsServer } from '../../src/cli/nats-server.ts';
import { startNatsCluster } from '../kit/nats-cluster.ts';
import { startNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';

test('versions are compared by number', (t) => {
  t.true(isRecentEnough('nats-server: v2.10.0'));
  t.true(isRecentEnough('nats-server: v2.12.3-beta'));
  t.true(isRecentEnough('nats-server: v3.0.1'));
  t.false(isRecentEnough('nats-server: v2.9.25'));
  t.false(isRecentEnough('nats-server: v1.20.0'));
  t.false(isRecentEnough('something else'));
});

test('a nats-server that is too old is passed over', async (t) => {
  const folder = await tempFolder(t);
  const old = join(folder, 'nats-server');
  await writeFile(old, '#!/bin/sh\necho "nats-server: v2.9.11"\n');
  await chmod(old, 0o755);
  const found = await findNatsServer(`${folder}:${process.env.PATH}`);
  t.not(found, old);
});

test('a taken port is the reason that is given', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const binary = await findNatsServer(process.env.PATH ?? '');
  const second = startNatsServer({ binary, port: nats.port, storeDir: await tempFolder(t) });
  await t.throwsAsync(second, { message: /ended at start \(exit code 1\): .*address already in use/ });
});

test('the kit brings a killed server back at its port', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  await nats.kill();
  await t.throwsAsync(connect({ servers: nats.url, reconnect: false }));
  await nats.restart();
  const connection = await connect({ servers: nats.url });
  t.is(connection.info?.port, nats.port);
  await connection.close();
});

test('the kit makes a cluster', async (t) => {
  const servers = await startNatsCluster(3);
  for (const server of servers) t.teardown(server.stop);
  const connection = await connect({ servers: servers[0]!.url });
  t.is(connection.info?.cluster, 'weft');
  await connection.close();
});
