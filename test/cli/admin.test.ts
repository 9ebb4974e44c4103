import { request } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { type AdminSubject, listenAdmin } from '../../src/agent/admin.ts';

const SUBJECT: AdminSubject = {
  state: 'serving',
  ready: true,
  reason: undefined,
  counts: () => ({ streams: 0 }),
  describe: () => ({ mesh: 'shop' }),
  publications: () => ({ snapshot: {} }),
  waiting: () => ['orders.default is starting'],
  registry: { contentType: 'text/plain; version=0.0.4', metrics: async () => 'weft_up 1\n' },
};

interface Ask {
  readonly subject?: Partial<AdminSubject>;
  readonly method?: string;
  readonly host?: string;
}

async function ask(t: ExecutionContext, path: string, { subject, method = 'GET', host }: Ask = {}) {
  const admin = await listenAdmin({ host: '127.0.0.1', port: 0 }, { ...SUBJECT, ...subject });
  t.teardown(() => admin.close());
  const headers = host === undefined ? {} : { host };
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const asked = request({ ...admin.address, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on('error', reject).end();
  });
}

test('a ready agent says so', async (t) => {
  const { status, body } = await ask(t, '/readyz');
  t.is(status, 200);
  t.deepEqual(JSON.parse(body), {
    pid: process.pid,
    ready: true,
    state: 'serving',
    reasons: [],
    waiting: ['orders.default is starting'],
  });
});

test('an agent that is not ready says why', async (t) => {
  const subject = { ready: false, state: 'connecting', reason: 'no NATS' };
  const { status, body } = await ask(t, '/readyz', { subject });
  t.is(status, 503);
  t.deepEqual(JSON.parse(body), {
    pid: process.pid,
    ready: false,
    state: 'connecting',
    reasons: ['no NATS'],
    waiting: ['orders.default is starting'],
  });
});

test('an agent that is not ready is alive', async (t) => {
  t.is((await ask(t, '/livez', { subject: { ready: false } })).status, 200);
});

test('metrics and configuration are served', async (t) => {
  t.deepEqual(await ask(t, '/metrics'), { status: 200, body: 'weft_up 1\n' });
  const { body } = await ask(t, '/config');
  t.deepEqual(JSON.parse(body), {
    state: 'serving',
    config: { mesh: 'shop' },
    counts: { streams: 0 },
    publications: { snapshot: {} },
  });
});

test('HEAD has no body, other methods are refused, other paths are not found', async (t) => {
  t.deepEqual(await ask(t, '/livez', { method: 'HEAD' }), { status: 200, body: '' });
  t.is((await ask(t, '/livez', { method: 'POST' })).status, 405);
  t.is((await ask(t, '/livez/x')).status, 404);
});

test('a page of the web cannot reach it by a name of its own', async (t) => {
  for (const host of [
    'evil.example',
    'evil.example:15000',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
  ]) {
    t.is((await ask(t, '/config', { host })).status, 421, host);
  }
  for (const host of ['localhost', 'localhost:15000', '127.0.0.1', '[::1]:15000']) {
    t.is((await ask(t, '/config', { host })).status, 200, host);
  }
});

test('a failure to gather metrics is a 500, without its text', async (t) => {
  const registry = { contentType: 'text/plain', metrics: () => Promise.reject(new Error('secret')) };
  const { status, body } = await ask(t, '/metrics', { subject: { registry } });
  t.is(status, 500);
  t.notRegex(body, /secret/);
});

test('a taken port is named', async (t) => {
  const first = await listenAdmin({ host: '127.0.0.1', port: 0 }, SUBJECT);
  t.teardown(() => first.close());
  await t.throwsAsync(listenAdmin(first.address, SUBJECT), {
    message: `admin: cannot listen on 127.0.0.1:${first.address.port}: another program listens there`,
  });
});
