import test from 'ava';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { headerLines } from '../kit/raw-peer.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const EVERY_BYTE = Array.from({ length: 256 }, (_, at) => String.fromCharCode(at)).join('');

/** An application that answers every request of a connection with `response`. */
function answering(t: Parameters<Crossing['raw']>[0], response: string): Promise<string> {
  return crossing.raw(t, async (app) => {
    for (;;) {
      await app.head();
      app.write(response);
    }
  });
}

test('a body of known length keeps its Content-Length and its bytes, both ways', async (t) => {
  const seen = Promise.withResolvers<string>();
  const service = await crossing.raw(t, async (app) => {
    const head = await app.head();
    seen.resolve(head + (await app.bytes(256)));
    app.write(`HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n${EVERY_BYTE}`);
  });
  const client = await crossing.dial(t);
  client.write(`PUT / HTTP/1.1\r\nHost: ${service}\r\nContent-Length: 256\r\n\r\n${EVERY_BYTE}`);
  const request = await seen.promise;
  t.true(request.endsWith(`\r\n\r\n${EVERY_BYTE}`));
  t.true(headerLines(request.slice(0, -256)).includes('content-length: 256'));
  t.notRegex(request, /transfer-encoding/);
  t.is(await client.head(), 'HTTP/1.1 200 OK\r\ncontent-length: 256\r\n\r\n');
  t.is(await client.bytes(256), EVERY_BYTE);
});

test('a body of unknown length stays chunked, with its trailers, both ways', async (t) => {
  const seen = Promise.withResolvers<string>();
  const service = await crossing.raw(t, async (app) => {
    const head = await app.head();
    seen.resolve(head + (await app.until('x-sum: 1\r\n\r\n')));
    app.write(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Two\r\n\r\n' +
        '1;ext="a"\r\na\r\n002\r\nbc\r\n0\r\nX-Sum: 2\r\nX-Two: \xe9\r\nx-sum: 3\r\n\r\n',
    );
  });
  const client = await crossing.dial(t);
  client.write(
    `POST / HTTP/1.1\r\nHost: ${service}\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n` +
      '3\r\nab\x00\r\n0\r\nX-Sum: 1\r\n\r\n',
  );
  const request = await seen.promise;
  t.true(request.endsWith('\r\n\r\n3\r\nab\x00\r\n0\r\nx-sum: 1\r\n\r\n'));
  t.regex(request, /\r\ntrailer: X-Sum\r\n/);
  t.regex(request, /\r\ntransfer-encoding: chunked\r\n/);
  t.is(await client.head(), 'HTTP/1.1 200 OK\r\ntrailer: X-Sum, X-Two\r\ntransfer-encoding: chunked\r\n\r\n');
  const body = await client.until('0\r\nx-sum: 2\r\nx-two: \xe9\r\nx-sum: 3\r\n\r\n');
  t.regex(body, /^(?:1\r\na\r\n2\r\nbc|3\r\nabc)\r\n0/);
});

test('a field that may not stand in trailers is dropped from them', async (t) => {
  const service = await answering(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\nX-Ok: 1\r\nSet-Cookie: a=b\r\n\r\n',
  );
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  await client.head();
  t.is(await client.until('\r\n\r\n'), '0\r\nx-ok: 1\r\n\r\n');
});

test('a request without a body does not gain one, and an empty one stays said', async (t) => {
  const seen: string[] = [];
  const service = await crossing.raw(t, async (app) => {
    for (;;) {
      seen.push(await app.head());
      app.write('HTTP/1.1 204 No Content\r\n\r\n');
    }
  });
  const client = await crossing.dial(t);
  client.write(`POST /1 HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  await client.head();
  client.write(`POST /2 HTTP/1.1\r\nHost: ${service}\r\nContent-Length: 0\r\n\r\n`);
  await client.head();
  t.notRegex(seen[0] ?? '', /content-length|transfer-encoding/);
  t.regex(seen[1] ?? '', /\r\ncontent-length: 0\r\n/);
});

test('an empty chunked request body ends properly', async (t) => {
  const service = await crossing.http(t, (request, response) => {
    request.on('data', () => t.fail()).on('end', () => response.end('ended'));
  });
  const client = await crossing.dial(t);
  client.write(`POST / HTTP/1.1\r\nHost: ${service}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
  t.regex(await client.head(), /^HTTP\/1.1 200 /);
  t.is(await client.bytes(5), 'ended');
});

for (const [what, method, response, expected] of [
  [
    'HEAD with a length',
    'HEAD',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: "x"\r\n\r\n',
  ],
  ['HEAD without a length', 'HEAD', 'HTTP/1.1 200 OK\r\nX: 1\r\n\r\n', 'HTTP/1.1 200 OK\r\nx: 1\r\n\r\n'],
  [
    'HEAD of something chunked',
    'HEAD',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
  ],
  ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 204 No Content\r\n\r\n'],
  [
    '204',
    'DELETE',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
  ],
  [
    '304 with the length of what it stands for',
    'GET',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
  ],
  ['304 without a length', 'GET', 'HTTP/1.1 304 Not Modified\r\n\r\n', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
] as const) {
  test(`the response to ${what} (${method}, ${response.length} bytes) has no body, and the next one is found`, async (t) => {
    const service = await answering(t, response);
    const client = await crossing.dial(t);
    for (let count = 0; count < 3; count++) {
      client.write(`${method} / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
      t.is(await client.head(), expected);
    }
  });
}

test('a response that ends with its connection is chunked to HTTP/1.1 and the connection stays', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.end('HTTP/1.0 200 OK\r\nX: 1\r\n\r\nall of it');
  });
  const client = await crossing.dial(t);
  for (let count = 0; count < 2; count++) {
    client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
    t.is(await client.head(), 'HTTP/1.1 200 OK\r\nx: 1\r\ntransfer-encoding: chunked\r\n\r\n');
    t.is((await client.until('0\r\n\r\n')).replace(/[0-9a-f]+\r\n|\r\n/g, ''), 'all of it');
  }
});

test('a response of unknown length ends with the connection for HTTP/1.0', async (t) => {
  const service = await answering(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n',
  );
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.0\r\nHost: ${service}\r\nConnection: keep-alive\r\n\r\n`);
  t.is(await client.rest(), 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcde');
  t.false(client.broken);
});

test('a response cut off by the application is cut off for the caller, not ended', async (t) => {
  for (const start of ['Content-Length: 10\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n']) {
    const service = await crossing.raw(t, async (app) => {
      await app.head();
      app.end(`HTTP/1.1 200 OK\r\n${start}`);
    });
    const client = await crossing.dial(t);
    client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
    t.notRegex(await client.rest(), /0\r\n\r\n$/);
    t.true(client.broken);
  }
});

test('a response is passed on as it comes, not gathered', async (t) => {
  const more = Promise.withResolvers<void>();
  const service = await crossing.http(t, async (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    await more.promise;
    response.write('data: 1\n\n');
  });
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.regex(await client.head(), /\r\ncontent-type: text\/event-stream\r\n/);
  more.resolve();
  t.is(await client.until('\n\n'), '9\r\ndata: 1\n\n');
});

test('a request body is passed on as it comes, not gathered', async (t) => {
  const service = await crossing.http(t, (request, response) => {
    request.pipe(response);
  });
  const client = await crossing.dial(t);
  client.write(`POST / HTTP/1.1\r\nHost: ${service}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n`);
  await client.head();
  t.is(await client.until('hi\r\n'), '2\r\nhi\r\n');
  client.write('3\r\nyou\r\n0\r\n\r\n');
  t.is(await client.until('0\r\n\r\n'), '3\r\nyou\r\n0\r\n\r\n');
});
