import test from 'ava';
import { connectBus } from '../../src/agent/link/bus.ts';
import { connectOperator } from '../../src/cli/api-client.ts';
import { connectController } from '../../src/controller/connect.ts';
import { startNats } from '../kit/nats-server.ts';

test('who is told tls:// does not speak to a server without TLS', async (t) => {
  const nats = await startNats();
  t.teardown(nats.stop);
  const servers = [nats.url.replace('nats://', 'tls://')];
  const refused = { message: /does not support 'tls'/ };
  await t.throwsAsync(connectBus({ servers }, { lost() {}, back() {} }), refused);
  await t.throwsAsync(connectController({ servers }), refused);
  await t.throwsAsync(connectOperator({ servers, creds: undefined }), refused);
});
