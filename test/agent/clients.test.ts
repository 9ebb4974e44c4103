import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { Agent, EnvHttpProxyAgent, fetch } from 'undici';
import WebSocket, { WebSocketServer } from 'ws';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { startApplication } from '../kit/mesh.ts';

const run = promisify(execFile);

let crossing: Crossing;
let application: Awaited<ReturnType<typeof startApplication>>;
let service: string;
test.before(async () => {
  crossing = await startCrossing();
  application = await startApplication((request, response) => {
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.on('end', () => {
      response.setHeader('content-type', 'text/plain; charset=utf-8');
      response.end(`${request.method} ${request.url} ${Buffer.concat(body).toString('latin1')}`);
    });
  });
  const sockets = new WebSocketServer({ server: application.server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  service = await crossing.at([application.port]);
});
test.after.always(async () => {
  await crossing.mesh.stop();
  application.stop();
});

/** The environment of a program that is told of a proxy: the door. */
function proxied(): NodeJS.ProcessEnv {
  const door = `http://127.0.0.1:${crossing.door}`;
  return { ...process.env, http_proxy: door, HTTP_PROXY: door, no_proxy: '', NO_PROXY: '' };
}

/** Runs a program to its end and returns what it printed; undefined if it is not installed. */
async function output(
  t: ExecutionContext,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  try {
    await run(program, ['--version']);
  } catch {
    t.log(`${program} is not installed here: not tried`);
    t.pass();
    return undefined;
  }
  return (await run(program, args, { env, maxBuffer: 4 << 20 })).stdout;
}

const LARGE = 'x'.repeat(1 << 20);

test('curl works with http_proxy', async (t) => {
  const printed = await output(t, 'curl', ['-sS', '-d', 'body', `http://${service}/a?b`], proxied());
  if (printed !== undefined) t.is(printed, 'POST /a?b body');
});

test('curl works with Host', async (t) => {
  const args = ['-sS', '-H', `Host: ${service}`, `http://127.0.0.1:${crossing.door}/a?b`];
  const printed = await output(t, 'curl', args);
  if (printed !== undefined) t.is(printed, 'GET /a?b ');
});

test('curl works through CONNECT', async (t) => {
  const printed = await output(t, 'curl', ['-sS', '-p', `http://${service}/a?b`], proxied());
  if (printed !== undefined) t.is(printed, 'GET /a?b ');
});

test('curl sends a body after it has been told to continue', async (t) => {
  const args = ['-sS', '-H', 'Expect: 100-continue', '-d', 'body', '-v', '--stderr', '-'];
  const printed = await output(t, 'curl', [...args, `http://${service}/`], proxied());
  if (printed === undefined) return;
  t.regex(printed, /< HTTP\/1.1 100 Continue/);
  t.true(printed.includes('POST / body'));
});

test("Node's own fetch works with NODE_USE_ENV_PROXY", async (t) => {
  const script = `
    const url = 'http://${service}/a?b';
    console.log(await (await fetch(url)).text());
    const body = 'x'.repeat(1 << 20);
    console.log((await (await fetch(url, { method: 'POST', body })).text()).length);
  `;
  const env = { ...proxied(), NODE_USE_ENV_PROXY: '1' };
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { env });
  t.deepEqual(stdout.trim().split('\n'), ['GET /a?b ', String('POST /a?b '.length + LARGE.length)]);
});

test('undici works with a proxy, by absolute targets and by CONNECT', async (t) => {
  for (const proxyTunnel of [true, false]) {
    const dispatcher = new EnvHttpProxyAgent({
      httpProxy: `http://127.0.0.1:${crossing.door}`,
      noProxy: '',
      proxyTunnel,
    });
    t.teardown(() => dispatcher.destroy());
    const response = await fetch(`http://${service}/a?b`, { method: 'PUT', body: LARGE, dispatcher });
    t.is(response.status, 200, JSON.stringify([...response.headers]));
    t.is(await response.text(), `PUT /a?b ${LARGE}`);
  }
});

test('fetch works with the name of the service where that leads to the door', async (t) => {
  const dispatcher = new Agent({
    connect: { lookup: (_, __, found) => found(null, [{ address: '127.0.0.1', family: 4 }]) },
  });
  t.teardown(() => dispatcher.destroy());
  const response = await fetch(`http://${service}:${crossing.door}/a?b`, { dispatcher });
  t.is(await response.text(), 'GET /a?b ');
});

const URLLIB = `
import sys, urllib.request
url, host = sys.argv[1], sys.argv[2]
headers = {'Host': host} if host else {}
for data in (None, b'x' * (1 << 20)):
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers)) as response:
        text = response.read()
        print(response.status, len(text), text[:9].decode())
`;
const URLLIB_PRINTS = ['200 9 GET /a?b ', `200 ${'POST /a?b '.length + LARGE.length} POST /a?b`];

test("Python's urllib works with http_proxy", async (t) => {
  const args = ['-c', URLLIB, `http://${service}/a?b`, ''];
  const printed = await output(t, 'python3', args, proxied());
  if (printed !== undefined) t.deepEqual(printed.trimEnd().split('\n'), URLLIB_PRINTS);
});

test("Python's urllib works with Host", async (t) => {
  const env = { ...process.env, http_proxy: '', HTTP_PROXY: '' };
  const args = ['-c', URLLIB, `http://127.0.0.1:${crossing.door}/a?b`, service];
  const printed = await output(t, 'python3', args, env);
  if (printed !== undefined) t.deepEqual(printed.trimEnd().split('\n'), URLLIB_PRINTS);
});

/** Sends text and bytes through a WebSocket and closes it properly. */
async function converse(t: ExecutionContext, socket: WebSocket): Promise<void> {
  t.teardown(() => socket.terminate());
  await once(socket, 'open');
  socket.send('grüezi');
  const [text, textIsBinary] = await once(socket, 'message');
  t.is(String(text), 'grüezi');
  t.false(textIsBinary);
  const bytes = Buffer.alloc(300_000, 'abcdefg');
  socket.send(bytes);
  const [echoed] = await once(socket, 'message');
  t.true(bytes.equals(echoed));
  socket.ping('still there?');
  t.is(String((await once(socket, 'pong'))[0]), 'still there?');
  socket.close(4000, 'done');
  t.deepEqual((await once(socket, 'close')).map(String), ['4000', 'done']);
}

test('a WebSocket client works with Host', async (t) => {
  const headers = { host: service };
  await converse(t, new WebSocket(`ws://127.0.0.1:${crossing.door}/chat`, { headers }));
});

test('a WebSocket client works through CONNECT', async (t) => {
  const asked = httpRequest({
    host: '127.0.0.1',
    port: crossing.door,
    method: 'CONNECT',
    path: `${service}:80`,
  }).end();
  const [response, tunnel] = (await once(asked, 'connect')) as [{ statusCode: number }, Socket];
  t.is(response.statusCode, 200);
  await converse(t, new WebSocket(`ws://${service}/chat`, { createConnection: () => tunnel }));
});

test('a WebSocket that the application refuses is refused to the client', async (t) => {
  const target = await crossing.http(t, (_, response) => {
    response.writeHead(403).end('no');
  });
  const headers = { host: target };
  const socket = new WebSocket(`ws://127.0.0.1:${crossing.door}/chat`, { headers });
  const [, response] = await once(socket, 'unexpected-response');
  t.is(response.statusCode, 403);
  socket.on('error', () => {}).terminate();
});
