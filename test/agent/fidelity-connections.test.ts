import test from 'ava';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { until } from '../kit/mesh.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

/** An application that answers with the target of the request. */
const targets = (t: Parameters<Crossing['http']>[0]): Promise<string> =>
  crossing.http(t, (request, response) => {
    const body = `[${request.url}]`;
    response.sendDate = false;
    response.writeHead(200, { 'content-length': body.length }).end(body);
  });
const get = (service: string, path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${service}\r\n${more}\r\n`;

test('pipelined requests are answered one by one in their order', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  const paths = Array.from({ length: 500 }, (_, at) => `/${at}`);
  client.write(paths.map((path) => get(service, path)).join(''));
  for (const path of paths) t.is((await client.until(']')).split('\r\n\r\n')[1], `[${path}]`);
});

test('pipelined requests that arrive in pieces, with bodies between, are answered in order', async (t) => {
  const service = await crossing.http(t, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    response.end(`[${request.url} ${body}]`);
  });
  const client = await crossing.dial(t);
  const text =
    `POST /1 HTTP/1.1\r\nHost: ${service}\r\nContent-Length: 3\r\n\r\nabc` +
    `POST /2 HTTP/1.1\r\nHost: ${service}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n` +
    get(service, '/3');
  for (let at = 0; at < text.length; at += 7) {
    client.write(text.slice(at, at + 7));
    await new Promise(setImmediate);
  }
  for (const expected of ['[/1 abc]', '[/2 de]', '[/3 ]'])
    t.true((await client.until(']')).endsWith(expected));
});

test('pipelined requests of different services go to their services and keep their order', async (t) => {
  const slow = Promise.withResolvers<void>();
  const first = await crossing.http(t, async (_, response) => {
    await slow.promise;
    response.end('[first]');
  });
  const second = await crossing.http(t, (_, response) => {
    slow.resolve();
    response.end('[second]');
  });
  const [client, other] = [await crossing.dial(t), await crossing.dial(t)];
  client.write(get(first, '/') + get(second, '/'));
  other.write(get(second, '/'));
  t.true((await client.until(']')).endsWith('[first]'));
  t.true((await client.until(']')).endsWith('[second]'));
});

test('a connection that asks to be closed is closed after its response, and what follows is not read', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  client.write(get(service, '/1', 'Connection: close\r\n') + get(service, '/2'));
  t.is(await client.rest(), 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n[/1]');
  t.false(client.broken);
});

test('an application that closes its connection does not close that of the caller', async (t) => {
  const service = await crossing.http(t, (_, response) => {
    response.writeHead(200, { connection: 'close', 'content-length': 2 }).end('ok');
  });
  const client = await crossing.dial(t);
  for (let count = 0; count < 3; count++) {
    client.write(get(service, '/'));
    t.notRegex(await client.head(), /connection/);
    t.is(await client.bytes(2), 'ok');
  }
});

test('HTTP/1.0 is answered and closed, or kept if it asks for that and the length is known', async (t) => {
  const service = await targets(t);
  const once = await crossing.dial(t);
  once.write(`GET /1 HTTP/1.0\r\nHost: ${service}\r\n\r\n`);
  t.is(await once.rest(), 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n[/1]');
  const kept = await crossing.dial(t);
  for (let count = 0; count < 3; count++) {
    kept.write(`GET /2 HTTP/1.0\r\nHost: ${service}\r\nConnection: Keep-Alive\r\n\r\n`);
    t.is(await kept.head(), 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\n');
    t.is(await kept.bytes(4), '[/2]');
  }
});

test('an absolute target names the service, whatever Host says, and the application sees a path', async (t) => {
  const service = await crossing.http(t, (request, response) => {
    response.end(`[${request.url} ${request.headers.host}]`);
  });
  const client = await crossing.dial(t);
  for (const [target, path] of [
    ['/a?b', '/a?b'],
    ['', '/'],
    ['?q', '/?q'],
  ] as const) {
    client.write(`GET http://${service}:80${target} HTTP/1.1\r\nHost: elsewhere\r\n\r\n`);
    t.true((await client.until(']')).endsWith(`[${path} ${service}:80]`));
  }
  client.write(`OPTIONS http://${service} HTTP/1.1\r\nHost: elsewhere\r\n\r\n`);
  t.true((await client.until(']')).endsWith(`[* ${service}]`));
});

test('OPTIONS * reaches the application as it is', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  client.write(`OPTIONS * HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.true((await client.until(']')).endsWith('[*]'));
});

test('every name of a service leads to it', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  for (const suffix of [
    '',
    ':8080',
    '.default',
    '.default.svc',
    '.default.svc.cluster.local',
    '.mesh',
    '.mesh:1',
  ]) {
    client.write(get(`${service}${suffix}`.toUpperCase(), `/${suffix}`));
    t.true((await client.until(']')).endsWith(`[/${suffix}]`));
  }
});

test('any method reaches the application as it is', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    for (;;) {
      const [method = ''] = (await app.head()).split(' ');
      app.write(`HTTP/1.1 200 OK\r\nContent-Length: ${method.length + 2}\r\n\r\n[${method}]`);
    }
  });
  const client = await crossing.dial(t);
  for (const method of ['DELETE', 'PATCH', 'PROPFIND', 'TRACE', 'QUERY', 'M-SEARCH', 'get']) {
    client.write(`${method} / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
    t.true((await client.until(']')).endsWith(`[${method}]`));
  }
});

test('CONNECT to a service opens a tunnel in which HTTP is spoken, and only HTTP', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  client.write(`CONNECT ${service}:80 HTTP/1.1\r\nHost: ${service}:80\r\n\r\n`);
  t.is(await client.head(), 'HTTP/1.1 200 Connection Established\r\n\r\n');
  for (const path of ['/1', '/2']) {
    client.write(get(service, path));
    t.true((await client.until(']')).endsWith(`[${path}]`));
  }
  client.write('\x16\x03\x01\x02\x00');
  t.regex(await client.rest(), /^HTTP\/1.1 400 /);
});

test('CONNECT elsewhere, inside a tunnel or with a body is refused', async (t) => {
  const service = await targets(t);
  const connect = (target: string, more = ''): string =>
    `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${more}\r\n`;
  for (const text of [
    connect('www.example.com:443'),
    connect(service),
    connect(`${service}:80`, 'Content-Length: 5\r\n'),
    connect(`${service}:80`) + connect(`${service}:80`),
  ]) {
    const client = await crossing.dial(t);
    client.write(text);
    t.regex(await client.rest(), /^(?:HTTP\/1.1 200 Connection Established\r\n\r\n)?HTTP\/1.1 400 /);
  }
});

test('a caller that ends its half after the request still reads the response', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  client.end(get(service, '/1'));
  t.regex(await client.rest(), /\[\/1\]$/);
  t.false(client.broken);
});

test('a caller that ends its half after several requests reads all responses', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  client.end(get(service, '/1') + get(service, '/2') + get(service, '/3'));
  t.deepEqual((await client.rest()).match(/\[.*?\]/g), ['[/1]', '[/2]', '[/3]']);
});

test('a caller that ends its half within the body is refused, and the application sees a broken request', async (t) => {
  const broken = Promise.withResolvers<void>();
  const service = await crossing.raw(t, async (app) => {
    await app.until('abc');
    app.write('HTTP/1.1 102 Processing\r\n\r\n');
    t.is(await app.rest(), '');
    broken.resolve();
  });
  const client = await crossing.dial(t);
  client.write(`POST / HTTP/1.1\r\nHost: ${service}\r\nContent-Length: 10\r\n\r\nabc`);
  await client.head();
  client.end();
  t.regex(await client.rest(), /^HTTP\/1.1 400 /);
  await broken.promise;
});

for (const when of ['before', 'after']) {
  test(`a caller that goes away ${when} the first answer cancels the request at the application`, async (t) => {
    const arrived = Promise.withResolvers<void>();
    let cancelled = false;
    const service = await crossing.raw(t, async (app) => {
      await app.head();
      if (when === 'after') app.write('HTTP/1.1 102 Processing\r\n\r\n');
      arrived.resolve();
      await app.rest();
      cancelled = true;
    });
    const client = await crossing.dial(t);
    client.write(get(service, '/'));
    await arrived.promise;
    if (when === 'after') await client.head();
    client.socket.resetAndDestroy();
    await until(() => cancelled, 'the application to be told');
    t.pass();
  });
}

test('an empty line before a request is tolerated', async (t) => {
  const service = await targets(t);
  const client = await crossing.dial(t);
  client.write(`\r\n${get(service, '/1')}`);
  t.true((await client.until(']')).endsWith('[/1]'));
  client.write(`\r\n${get(service, '/2')}`);
  t.true((await client.until(']')).endsWith('[/2]'));
});
