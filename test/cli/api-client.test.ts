import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { createApiClient } from '../../src/cli/api-client.ts';
import { UnreachableError } from '../../src/cli/exit.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { startNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { respondAs } from './fake-controller.ts';

const ROOT = readRoot(createRoot().seed);

function contextAt(url: string) {
  return {
    mesh: 'shop',
    servers: [url],
    signer: async () => ({ key: signingKey(ROOT) }),
    rootKey: async () => verificationKey(ROOT.publicKey),
  };
}

test('a user who may not call the controller is told so', async (t) => {
  const config = join(await tempFolder(t), 'nats.conf');
  const permissions = '{ publish: { deny: ["weft.>"] } }';
  await writeFile(
    config,
    `authorization { users = [{ user: a, password: b, permissions: ${permissions} }] }`,
  );
  const nats = await startNats({ args: ['-c', config] });
  t.teardown(nats.stop);
  const connection = await connect({ servers: nats.url, user: 'a', pass: 'b', reconnect: false });
  t.teardown(() => connection.close());
  const error = await t.throwsAsync(createApiClient(connection, contextAt(nats.url)).call('get', {}));
  t.true(error instanceof UnreachableError);
  t.regex(error?.message ?? '', /does not let this user call the controller .*--creds/);
});

test('a controller that is being started again is waited for', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const connection = await connect({ servers: nats.url });
  t.teardown(() => connection.close());
  let calls = 0;
  const request: NatsConnection['request'] = async (...args) => {
    calls += 1;
    try {
      return await connection.request(...args);
    } finally {
      // It comes up when the first call has found nobody.
      if (calls === 1) {
        connection.subscribe('weft.shop.api.services', {
          callback: (_error, message) =>
            respondAs(ROOT, 'shop', 'services', message, '{ "ok": true, "response": { "items": [] } }'),
        });
      }
    }
  };
  const watched = Object.create(connection, { request: { value: request } }) as NatsConnection;
  const api = createApiClient(watched, contextAt(nats.url));
  t.deepEqual(await api.call('services', {}), { items: [] });
  t.is(calls, 2);
});

test('a connection that breaks during a change leaves it open whether that was made', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const other = await connect({ servers: nats.url });
  t.teardown(() => other.close());
  other.subscribe('weft.shop.api.apply', { callback: () => void nats.kill() });
  await other.flush();
  const connection = await connect({ servers: nats.url, reconnect: false });
  const api = createApiClient(connection, contextAt(nats.url));
  const error = await t.throwsAsync(api.call('apply', { resources: [{}] }));
  t.true(error instanceof UnreachableError);
  t.regex(error?.message ?? '', /broke: whether the change was made is not known/);
});

test('a call that NATS would not take is refused before it is sent', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const connection = await connect({ servers: nats.url });
  t.teardown(() => connection.close());
  const api = createApiClient(connection, contextAt(nats.url));
  const error = await t.throwsAsync(api.call('apply', { resources: ['x'.repeat(1024 * 1024)] }));
  t.is(error?.name, 'UsageError');
  t.regex(error?.message ?? '', /send fewer resources at a time/);
});
