import test from 'ava';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { quiet, startRawApplication, until } from '../kit/mesh.ts';
import { headerLines, RawPeer } from '../kit/raw-peer.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const upgrade = (service: string): string =>
  `GET /chat HTTP/1.1\r\nHost: ${service}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX-Key: 1\r\n\r\n`;
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Accept: 2\r\n\r\n';
const EVERY_BYTE = Array.from({ length: 256 }, (_, at) => String.fromCharCode(at)).join('');

test('an upgrade is asked for, granted, and then bytes flow both ways', async (t) => {
  const seen = Promise.withResolvers<string>();
  const service = await crossing.raw(t, async (app) => {
    seen.resolve(await app.head());
    app.write(SWITCHING);
    app.write(await app.bytes(256));
    t.is(await app.rest(), 'last words');
    app.end('farewell');
  });
  const client = await crossing.dial(t);
  client.write(upgrade(service));
  const head = await client.head();
  t.deepEqual(headerLines(head), ['upgrade: websocket', 'x-accept: 2', 'connection: upgrade']);
  const asked = headerLines(await seen.promise);
  t.true(asked.includes('upgrade: websocket'));
  t.true(asked.includes('connection: upgrade'));
  client.write(EVERY_BYTE);
  t.is(await client.bytes(256), EVERY_BYTE);
  client.end('last words');
  t.is(await client.rest(), 'farewell');
  t.false(client.broken);
});

test('bytes right behind the 101, and right behind the request, arrive', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.write(`${SWITCHING}hello`);
    t.is(await app.bytes(5), 'early');
    app.end('done');
  });
  const client = await crossing.dial(t);
  client.write(`${upgrade(service)}early`);
  await client.head();
  t.is(await client.rest(), 'hellodone');
});

test('an application that ends its half of an upgraded connection still hears the caller', async (t) => {
  const heard = Promise.withResolvers<string>();
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.end(`${SWITCHING}bye`);
    heard.resolve(await app.rest());
  });
  const client = await crossing.dial(t);
  client.write(upgrade(service));
  await client.head();
  t.is(await client.rest(), 'bye');
  client.end('I hear you');
  t.is(await heard.promise, 'I hear you');
});

test('a caller that breaks an upgraded connection off breaks it off for the application', async (t) => {
  const broken = Promise.withResolvers<boolean>();
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.write(SWITCHING);
    await app.rest();
    broken.resolve(app.broken);
  });
  const client = await crossing.dial(t);
  client.write(upgrade(service));
  await client.head();
  client.socket.resetAndDestroy();
  t.true(await broken.promise);
});

test('an application that breaks an upgraded connection off breaks it off for the caller', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.write(SWITCHING);
    await app.bytes(1);
    app.socket.resetAndDestroy();
  });
  const client = await crossing.dial(t);
  client.write(upgrade(service));
  await client.head();
  client.write('x');
  t.is(await client.rest(), '');
  t.true(client.broken);
});

test('a refused upgrade is a response like any other, and the connection goes on', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    for (;;) {
      const head = await app.head();
      const status = head.startsWith('GET /chat') ? '426 Upgrade Required' : '200 OK';
      app.write(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
    }
  });
  const client = await crossing.dial(t);
  for (let count = 0; count < 2; count++) {
    client.write(upgrade(service));
    t.is(await client.head(), 'HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\n');
    t.is(await client.bytes(2), 'no');
    client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
    t.regex(await client.head(), /^HTTP\/1.1 200 /);
    t.is(await client.bytes(2), 'no');
  }
});

test('an upgrade that nobody asked for is a fault of the application', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.write(SWITCHING);
  });
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.regex(await client.head(), /^HTTP\/1.1 502 [\s\S]*upstream_protocol/);
});

test('an upgrade to HTTP/2 or TLS, or with a body, is not asked for', async (t) => {
  const seen: string[] = [];
  const service = await crossing.raw(t, async (app) => {
    for (;;) {
      const head = await app.head();
      seen.push(head);
      if (head.startsWith('POST')) await app.bytes(4);
      app.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    }
  });
  const client = await crossing.dial(t);
  const ask = (method: string, protocol: string, more: string): void =>
    client.write(
      `${method} / HTTP/1.1\r\nHost: ${service}\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n` +
        `Upgrade: ${protocol}\r\n${more}`,
    );
  for (const [method, protocol, more] of [
    ['GET', 'h2c', '\r\n'],
    ['OPTIONS', 'TLS/1.0', '\r\n'],
    ['POST', 'websocket', 'Content-Length: 4\r\n\r\nbody'],
  ] as const) {
    ask(method, protocol, more);
    t.regex(await client.head(), /^HTTP\/1.1 200 /);
  }
  for (const head of seen) t.notRegex(head, /\r\n(?:upgrade|connection|http2-settings):/);
});

test('nothing is left behind by upgraded connections, however they end', async (t) => {
  const own = await startCrossing();
  t.teardown(own.mesh.stop);
  const application = await startRawApplication(async (socket) => {
    const app = new RawPeer(socket);
    await app.head();
    app.write(SWITCHING);
    await app.rest();
    app.end();
  });
  t.teardown(application.stop);
  const back = await own.mesh.add('back', [{ service: 'chat.default', ports: [application.port] }]);
  for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const client = await own.dial(t);
    client.write(upgrade('chat'));
    await client.head();
    client.socket[leave]();
    await client.rest();
  }
  await until(() => quiet(back.agent) && quiet(own.front.agent), 'both agents to be quiet');
  await until(() => back.agent.counts().upstreamConnections === 0, 'connections to close');
  t.pass();
});
