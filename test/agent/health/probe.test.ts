/** One look at a real socket. */
import test from 'ava';
import { probe } from '../../../src/agent/health/probe.ts';
import type { HealthConfig } from '../../../src/agent/workload-config.ts';
import { freePort } from '../../kit/free-port.ts';
import { startApplication, startRawApplication } from '../../kit/mesh.ts';

const HEALTH: HealthConfig = {
  path: '/healthz?deep=1',
  expect: [
    [200, 204],
    [301, 301],
  ],
  intervalMs: 1,
  jitter: 0,
  timeoutMs: 5_000,
  healthyAfter: 1,
  unhealthyAfter: 1,
};

const look = (port: number, health: Partial<HealthConfig> = {}) =>
  new Promise<string | undefined>((resolve) => {
    probe({ host: '127.0.0.1', port }, { ...HEALTH, ...health }, resolve);
  });

test('an application is asked as configured, and its status decides', async (t) => {
  const asked: string[] = [];
  let status = 200;
  const application = await startApplication((incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url} ${incoming.headers['user-agent']}`);
    response.writeHead(status).end('a body that nobody reads');
  });
  t.teardown(application.stop);
  for (status of [200, 204, 301]) t.is(await look(application.port), undefined);
  for (status of [302, 404, 503]) {
    t.is(
      await look(application.port),
      `GET http://127.0.0.1:${application.port}/healthz?deep=1: status ${status}`,
    );
  }
  t.is(asked[0], 'GET /healthz?deep=1 weft-health');
});

test('who does not accept, does not answer, or answers with nonsense is not healthy', async (t) => {
  t.regex((await look(await freePort())) ?? '', /ECONNREFUSED/);
  t.regex((await look(await freePort(), { path: undefined })) ?? '', /ECONNREFUSED/);
  const mute = await startRawApplication(() => {});
  t.teardown(mute.stop);
  t.regex((await look(mute.port, { timeoutMs: 20 })) ?? '', /no answer within 20 ms/);
  const rude = await startRawApplication((socket) => socket.end('SSH-2.0-OpenSSH\r\n\r\n'));
  t.teardown(rude.stop);
  t.not(await look(rude.port), undefined);
  const gone = await startRawApplication((socket) => socket.destroy());
  t.teardown(gone.stop);
  t.not(await look(gone.port), undefined);
});

test('with tcp a connection is enough, and it is closed at once', async (t) => {
  const closed = Promise.withResolvers<void>();
  const mute = await startRawApplication((socket) => socket.on('close', () => closed.resolve()).resume());
  t.teardown(mute.stop);
  const looked = look(mute.port, { path: undefined });
  t.is(await looked, undefined);
  mute.stop();
  await closed.promise;
});

test('a look that is broken off says nothing', async (t) => {
  const connected = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const mute = await startRawApplication((socket) => {
    connected.resolve();
    socket.resume().on('close', () => closed.resolve());
    socket.on('end', () => socket.end());
  });
  t.teardown(mute.stop);
  const breakOff = probe({ host: '127.0.0.1', port: mute.port }, HEALTH, () => t.fail());
  await connected.promise;
  breakOff();
  await closed.promise;
  t.pass();
});
