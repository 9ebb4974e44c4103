import test from 'ava';
import { type Crossing, startCrossing } from '../kit/crossing.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const expecting = (service: string, length: number): string =>
  `POST / HTTP/1.1\r\nHost: ${service}\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

test('a caller that expects 100 gets it from the application, and only then sends its body', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    t.regex(await app.head(), /\r\nexpect: 100-continue\r\n/);
    app.write(CONTINUE);
    t.is(await app.bytes(4), 'body');
    app.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const client = await crossing.dial(t);
  client.write(expecting(service, 4));
  t.is(await client.head(), CONTINUE);
  client.write('body');
  t.is(await client.head(), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n');
  t.is(await client.bytes(2), 'ok');
});

for (const status of ['417 Expectation Failed', '401 Unauthorized']) {
  test(`an application answers ${status} instead of 100, and the connection ends: its next bytes could be either`, async (t) => {
    const service = await crossing.raw(t, async (app) => {
      await app.head();
      app.write(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
    });
    const client = await crossing.dial(t);
    client.write(expecting(service, 400_000));
    t.is(await client.rest(), `HTTP/1.1 ${status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno`);
    t.false(client.broken);
  });
}

test('a caller that expects 100 but does not wait for it is served all the same', async (t) => {
  const service = await crossing.http(t, (request, response) => {
    request.pipe(response);
  });
  const client = await crossing.dial(t);
  client.write(`${expecting(service, 4)}bodyGET /2 HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.is(await client.head(), CONTINUE);
  t.regex(await client.head(), /^HTTP\/1.1 200 /);
  await client.until('body');
  t.regex(await client.until('HTTP/1.1 200'), /HTTP/);
});

test('1xx responses are passed on in order, with their header lines', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.write(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
  });
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.is(await client.head(), 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n');
  t.is(await client.head(), 'HTTP/1.1 102 Processing\r\n\r\n');
  t.is(await client.head(), 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
});

test('HTTP/1.0 knows no 1xx and gets none, and its Expect does not travel', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    t.notRegex(await app.head(), /expect/);
    app.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });
  const client = await crossing.dial(t);
  client.write(`GET / HTTP/1.0\r\nHost: ${service}\r\nExpect: 100-continue\r\n\r\n`);
  t.is(await client.rest(), 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
});

test('a response may come before the request is complete, and the connection serves the next request', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    const head = await app.head();
    if (head.startsWith('POST')) await app.bytes(3);
    app.write(`HTTP/1.1 ${head.startsWith('POST') ? 400 : 200} X\r\nContent-Length: 0\r\n\r\n`);
  });
  const client = await crossing.dial(t);
  client.write(`POST / HTTP/1.1\r\nHost: ${service}\r\nContent-Length: 10\r\n\r\nabc`);
  t.regex(await client.head(), /^HTTP\/1.1 400 /);
  client.write(`defghijGET / HTTP/1.1\r\nHost: ${service}\r\n\r\n`);
  t.regex(await client.head(), /^HTTP\/1.1 200 /);
});

test('an early response whose caller goes on and on ends with the connection', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.write('HTTP/1.1 413 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
    app.end();
  });
  const client = await crossing.dial(t);
  client.write(`POST / HTTP/1.1\r\nHost: ${service}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n`);
  t.regex(await client.head(), /^HTTP\/1.1 413 /);
  t.is(await client.bytes(2), 'no');
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  const closed = new Promise((resolve) => client.socket.on('close', resolve));
  const flood = (): void => {
    while (!client.socket.destroyed && client.socket.write(chunk));
  };
  client.socket.on('drain', flood);
  flood();
  await closed;
  t.pass();
});

test('bad chunking after a complete response ends the connection without a second response', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });
  const client = await crossing.dial(t);
  client.write(`POST / HTTP/1.1\r\nHost: ${service}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n`);
  await client.head();
  client.write('zz\r\n');
  t.is(await client.rest(), '');
});

test('request and response bodies flow at the same time', async (t) => {
  const service = await crossing.http(t, (request, response) => {
    request.pipe(response);
  });
  const client = await crossing.dial(t);
  client.write(`POST / HTTP/1.1\r\nHost: ${service}\r\nContent-Length: 30\r\n\r\n`);
  const echoed: string[] = [];
  for (const part of ['0123456789', 'abcdefghij', 'ABCDEFGHIJ']) {
    client.write(part);
    echoed.push(await client.until(part.slice(-1)));
  }
  t.regex(echoed[0] ?? '', /^HTTP\/1.1 200 /);
  t.regex(echoed[2] ?? '', /ABCDEFGHIJ$/);
  await client.until('0\r\n\r\n');
});
