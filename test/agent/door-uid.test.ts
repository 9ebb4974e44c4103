import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { createAgent } from '../../src/agent/agent.ts';
import { readAgentConfig } from '../../src/agent/config.ts';
import { freePort } from '../kit/free-port.ts';
import { ask, MESH, startApplication, startMesh, type TestMesh, until } from '../kit/mesh.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';

/** Whose process has connected to a port is told by Linux only. */
const onLinux = process.platform === 'linux' ? test.serial : test.skip;
/** Only root can run a process as somebody else. */
const asRoot = process.platform === 'linux' && process.getuid?.() === 0 ? test.serial : test.skip;

const OWN = process.getuid?.() ?? 0;
const OTHER = OWN + 12_345;

let mesh: TestMesh;
let application: Awaited<ReturnType<typeof startApplication>>;
/** Path and caller of each request that has reached the application. */
const seen: string[] = [];

test.before(async () => {
  mesh = await startMesh();
  application = await startApplication(({ url, headers }, response) => {
    seen.push(`${url} ${headers['weft-caller']}`);
    response.end();
  });
  await mesh.add('back', [{ service: 'orders.default', ports: [application.port] }]);
});
test.after.always(async () => {
  await mesh.stop();
  application.stop();
});

interface Front {
  readonly port: number;
  readonly log: readonly { msg: string; code?: string; details?: string; caller?: string }[];
  metrics(): Promise<string>;
}

let fronts = 0;

/** An agent with a door for checkout that has `uid`; or, without, one for callers without identity. */
async function front(t: ExecutionContext, uid: string | undefined, host = '127.0.0.1'): Promise<Front> {
  const port = await freePort();
  const listen = `"${host.includes(':') ? `[${host}]` : host}:${port}"`;
  const door =
    uid === undefined
      ? `listen: ${listen}\nworkloads: []`
      : `workloads: [{ service: checkout, listen: ${listen}, uid: ${uid} }]`;
  const text = `mesh: ${MESH}\nhost: front-${fronts++}\nnats: { servers: ["${mesh.nats.url}"] }\nadmin: 127.0.0.1:1\n${door}\n`;
  const config = readAgentConfig(text, 'agent.yaml');
  const keyring = createRootKeyring({
    rootSeed: mesh.seed,
    mesh: MESH,
    agent: config.host,
    workloads: config.workloads.map(({ service }) => service),
    now: Date.now,
  });
  const log: Front['log'][number][] = [];
  const agent = createAgent({
    config,
    keyring,
    log: pino({}, { write: (line) => log.push(JSON.parse(line)) }),
  });
  t.teardown(() => agent.stop());
  await agent.start();
  return { port, log, metrics: () => agent.registry.getSingleMetricAsString('weft_requests_total') };
}

/** What a process of a user says on stdout; `script` has `port`. */
async function run(uid: number, port: number, script: string): Promise<string> {
  const whole = `const port = ${port}; ${script}`;
  const child = spawn(process.execPath, ['-e', whole], {
    ...(uid === OWN ? {} : { uid, gid: uid }),
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (bytes) => {
    said += bytes;
  });
  await once(child, 'close');
  return said.trim();
}

const get = (path: string) => `require('http').get(
  { port, host: '127.0.0.1', path: '${path}', headers: { host: 'orders' } },
  (response) => { console.log(response.statusCode); response.resume(); })`;

onLinux('a process of the door’s user is let in, and is its workload', async (t) => {
  const { port } = await front(t, `${OWN}`);
  t.is((await ask(port, 'orders', '/own')).status, 200);
  t.is(seen.at(-1), '/own spiffe://test/ns/default/sa/checkout');
});

onLinux('a process of another user is refused, told why, counted and logged, and asks nothing', async (t) => {
  const { port, log, metrics } = await front(t, `${OTHER}`);
  const before = seen.length;
  const { status, headers, body } = await ask(port, 'orders', '/stranger?secret', { method: 'POST' }, 'x');
  t.is(status, 403);
  t.is(headers.connection, 'close');
  t.regex(
    String(headers['proxy-status']),
    /^weft-front-\d+; error=http_request_denied; details="not_your_door: /,
  );
  t.like(JSON.parse(body.toString()), {
    type: 'urn:weft:error:not_your_door',
    status: 403,
    code: 'not_your_door',
  });
  t.is(seen.length, before);
  t.regex(await metrics(), /side="outbound",service="",status="403",error="not_your_door"\} 1/);
  const [entry, ...more] = log.filter(({ code }) => code === 'not_your_door');
  t.is(more.length, 0);
  t.regex(
    entry?.details ?? '',
    new RegExp(`door of checkout.*uid ${OTHER}, and this connection is of uid ${OWN}$`),
  );
  t.like(entry, { method: 'POST', path: '/stranger' });
  t.is(entry?.caller, undefined);
});

onLinux('HEAD, a tunnel and bytes that are no HTTP are refused in their own way', async (t) => {
  const { port } = await front(t, `${OTHER}`);
  const say = async (text: string) => {
    const socket = connect(port, '127.0.0.1');
    socket.end(text);
    let answer = '';
    for await (const bytes of socket) answer += bytes;
    return answer;
  };
  const head = await say('HEAD / HTTP/1.1\r\nhost: orders\r\n\r\n');
  t.regex(head, /^HTTP\/1\.1 403 /);
  t.true(head.endsWith('\r\n\r\n'));
  t.regex(
    await say('CONNECT orders:80 HTTP/1.1\r\nhost: orders:80\r\n\r\n'),
    /^HTTP\/1\.1 403 (?:.|\r?\n)*not_your_door/,
  );
  t.regex(await say('hello\r\n\r\n'), /^HTTP\/1\.1 400 /);
  const pipelined = 'GET / HTTP/1.1\r\nhost: orders\r\n\r\n'.repeat(3);
  t.is((await say(pipelined)).match(/HTTP\/1\.1 403/g)?.length, 1);
});

onLinux('a caller is told by whatever loopback address it comes', async (t) => {
  const four = await front(t, `[${OWN}]`);
  const status = async (door: number, options: object) => (await ask(door, 'orders', '/', options)).status;
  t.is(await status(four.port, { host: '::ffff:127.0.0.1' }), 200);
  t.is(await status(four.port, { localAddress: '127.0.0.77' }), 200);
  const six = await front(t, `${OWN}`, '::1');
  t.is(await status(six.port, { host: '::1' }), 200);
  const strange = await front(t, `${OTHER}`, '::1');
  t.is(await status(strange.port, { host: '::1' }), 403);
  const mapped = await front(t, `${OTHER}`);
  t.is(await status(mapped.port, { host: '::ffff:127.0.0.1' }), 403);
});

onLinux('whose a connection is holds for all its requests', async (t) => {
  const { port } = await front(t, `${OWN}`);
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  for (let at = 0; at < 3; at++) t.is((await ask(port, 'orders', '/again', { agent })).status, 200);
});

onLinux('a caller that has ended its half before it is told whose it is gets its answer', async (t) => {
  const { port } = await front(t, `${OWN}`);
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end('GET /half HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n');
  let answer = '';
  for await (const bytes of socket) answer += bytes;
  t.regex(answer, /^HTTP\/1\.1 200 /);
});

asRoot('users are told apart, by number and by name', async (t) => {
  const some = await front(t, `[${OTHER}, daemon]`);
  t.is(await run(OTHER, some.port, get('/in')), '200');
  t.is(await run(1, some.port, get('/in')), '200');
  t.is(await run(OTHER + 1, some.port, get('/out')), '403');
  t.is(await run(OWN, some.port, get('/out')), '403');
  t.false(seen.some((one) => one.startsWith('/out')));
});

asRoot('who is gone before it is looked at is not taken for root', async (t) => {
  const { port, log } = await front(t, '0');
  const script = (end: string) => `const net = require('net'); for (let at = 0; at < 100; at++) {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('GET /ghost HTTP/1.1\\r\\nhost: orders\\r\\n\\r\\n', () => socket.${end}()));
    socket.on('error', () => {});
  }`;
  await run(OTHER, port, script('destroy'));
  await run(OTHER, port, script('resetAndDestroy'));
  t.is(await run(0, port, get('/root')), '200');
  t.false(seen.some((one) => one.startsWith('/ghost')));
  await until(() => log.some(({ code }) => code === 'not_your_door'), 'a refusal is logged');
});

onLinux('strangers who come all at once are refused one by one, and keep nobody out', async (t) => {
  const { port } = await front(t, `${OTHER}`);
  const { port: good } = await front(t, `${OWN}`);
  const doors = Array.from({ length: 200 }, (_, at) => (at % 10 === 0 ? good : port));
  const statuses = await Promise.all(doors.map(async (door) => (await ask(door, 'orders')).status));
  t.deepEqual(
    statuses,
    doors.map((door) => (door === good ? 200 : 403)),
  );
});

test.serial('an agent with a user that is not there says so and does not start', async (t) => {
  const failed = await t.throwsAsync(front(t, 'nobody-knows-me'));
  t.regex(
    failed?.message ?? '',
    process.platform === 'linux' ? /door of checkout\.default at 127.*no user named/ : /only Linux/,
  );
});

test.serial('a caller without identity is let in nowhere by default', async (t) => {
  const { port } = await front(t, undefined);
  const before = seen.length;
  const { status, body } = await ask(port, 'orders', '/anonymous', {
    headers: { 'weft-caller': 'spiffe://test/ns/default/sa/checkout' },
  });
  t.is(status, 403);
  t.like(JSON.parse(body.toString()), { code: 'denied' });
  t.regex(body.toString(), /lets nobody in who has no identity/);
  t.is(seen.length, before);
});
