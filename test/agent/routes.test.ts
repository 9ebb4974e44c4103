import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import test from 'ava';
import { LIMITS } from '../../src/protocol/limits.ts';
import { ask, quiet, startApplication, until } from '../kit/mesh.ts';
import { jsonOf, named, plainly, type RoutedMesh, startRoutedMesh, to } from './routed-mesh.ts';

/** What becomes of the requests that a rule forwards: backends (A5), times (A6), retries (A7). */
let routes: RoutedMesh;

test.before(async () => {
  routes = await startRoutedMesh();
});
test.after.always(() => routes.stop());
test.beforeEach(() => routes.reset());

const V1 = 'backendRefs: [{ name: v1, namespace: default, port: 80 }]';

test.serial(
  'A5.1 A5.2 A4.2: weights share the requests, a filter of a backend runs for its share, an invalid one is 500',
  async (t) => {
    const service = await routes.routed(
      t,
      `[{ backendRefs: [{ name: v1, namespace: default, port: 80, weight: 0 },
        { name: v2, namespace: default, port: 80, weight: 1, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-only, value: v2 }] } }] },
        { name: missing, namespace: default, port: 80, weight: 1 }] }]`,
    );
    const statuses = new Map<number, number>();
    for (let count = 0; count < 60; count++) {
      const response = await ask(routes.front.door, service);
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      if (response.status === 200) t.is(jsonOf(response).headers['x-only'], 'v2');
      else t.is(jsonOf(response).code, 'invalid_backend');
    }
    t.deepEqual([...statuses.keys()].sort(), [200, 500]);
    t.true((statuses.get(500) ?? 0) > 5);
    t.deepEqual(routes.seen.v1, []);
  },
);

test.serial('A5.2: a service without an endpoint is 503', async (t) => {
  const service = await routes.routed(
    t,
    '[{ backendRefs: [{ name: nobody, namespace: default, port: 80 }] }]',
  );
  const response = await ask(routes.front.door, service);
  t.deepEqual([response.status, jsonOf(response).code], [503, 'no_endpoint']);
});

test.serial('A6.1 A6.2 A6.3: a request over its time, or a try over its own, is 504', async (t) => {
  routes.reply(() => {});
  for (const timeouts of ['request: 60ms', 'backendRequest: 60ms', 'request: 0s, backendRequest: 60ms']) {
    const service = await routes.routed(t, `[{ timeouts: { ${timeouts} }, ${V1} }]`);
    const response = await ask(routes.front.door, service);
    t.deepEqual([response.status, jsonOf(response).code], [504, 'deadline'], timeouts);
  }
  await until(() => quiet(routes.front.agent), 'nothing is left');
});

test.serial(
  'A7.1 A7.3 A7.5: a listed status is tried again, as often as the route says, POST too; the last one is passed on',
  async (t) => {
    const service = await routes.routed(t, `[{ retry: { codes: [503], attempts: 3, backoff: 1ms }, ${V1} }]`);
    let tries = 0;
    routes.reply((request, response, name) => {
      tries += 1;
      if (tries < 3) response.writeHead(503).end();
      else plainly(request, response, name);
    });
    const good = await ask(routes.front.door, service, '/r', { method: 'POST' }, 'body');
    t.deepEqual([good.status, tries], [200, 3]);
    routes.reply((_, response) => {
      tries += 1;
      response.writeHead(503, { 'x-last': 'one' }).end();
    });
    tries = 0;
    const bad = await ask(routes.front.door, service, '/r', { method: 'POST' }, 'body');
    t.deepEqual([bad.status, bad.headers['x-last'], tries], [503, 'one', 4]);
    routes.reply((_, response) => {
      tries += 1;
      response.writeHead(500).end();
    });
    tries = 0;
    t.deepEqual([(await ask(routes.front.door, service)).status, tries], [500, 1]);
  },
);

test.serial(
  'A7.2 A7.5: without codes a request that an application has seen is tried again only if that cannot act twice',
  async (t) => {
    const service = await routes.routed(t, `[{ retry: { attempts: 2, backoff: 1ms }, ${V1} }]`);
    let tries = 0;
    routes.reply((request) => {
      tries += 1;
      request.socket.destroy();
    });
    const post = await ask(routes.front.door, service, '/', { method: 'POST' }, 'body');
    t.deepEqual([post.status, jsonOf(post).code, tries], [502, 'upstream_closed', 1]);
    tries = 0;
    const get = await ask(routes.front.door, service, '/');
    t.deepEqual([get.status, jsonOf(get).code, tries], [503, 'retries_exhausted', 3]);
    tries = 0;
    const headers = { 'idempotency-key': '1' };
    t.is((await ask(routes.front.door, service, '/', { method: 'POST', headers }, 'body')).status, 503);
    t.is(tries, 3);
  },
);

test.serial('A7.2: a try that takes longer than backendRequest is tried again', async (t) => {
  const service = await routes.routed(
    t,
    `[{ timeouts: { backendRequest: 100ms }, retry: { attempts: 1, backoff: 1ms }, ${V1} }]`,
  );
  let tries = 0;
  routes.reply((request, response, name) => {
    tries += 1;
    if (tries > 1) plainly(request, response, name);
  });
  t.deepEqual([(await ask(routes.front.door, service)).status, tries], [200, 2]);
});

test.serial('the first request with a body waits for its routes, and arrives whole', async (t) => {
  const service = await routes.routed(
    t,
    `[{ filters: [{ type: URLRewrite, urlRewrite: { hostname: x.example } }], ${V1} }]`,
  );
  let received = 0;
  routes.reply((request, response) => {
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    request.on('end', () => response.end(request.headers.host));
  });
  const sent = Buffer.alloc(300_000, 'x');
  const response = await ask(routes.front.door, service, '/', { method: 'POST' }, sent);
  t.deepEqual([response.body.toString(), received], ['x.example', sent.length]);
});

test.serial('A7.3: tries that reach no application end in 503', async (t) => {
  const service = await routes.routed(
    t,
    '[{ retry: { attempts: 2, backoff: 1ms }, backendRefs: [{ name: dead, namespace: default, port: 80 }] }]',
  );
  const response = await ask(routes.front.door, service);
  t.deepEqual([response.status, jsonOf(response).code], [503, 'retries_exhausted']);
});

test.serial('A5.1: weights share the requests of a rule, and one that is left out is 1', async (t) => {
  const service = await routes.routed(t, [
    { matches: [{ path: { value: '/even' } }], backendRefs: [to('v1'), to('v2')] },
    {
      matches: [{ path: { value: '/one' } }],
      backendRefs: [to('v1', { weight: 0 }), to('v2', { weight: 1 })],
    },
    {
      matches: [{ path: { value: '/none' } }],
      backendRefs: [to('v1', { weight: 0 }), to('v2', { weight: 0 })],
    },
  ]);
  for (let count = 0; count < 60; count++) await ask(routes.front.door, service, '/even');
  // By chance alone less than 5 of 60 are rarer than one in a thousand million.
  t.true(routes.seen.v1!.length > 5 && routes.seen.v2!.length > 5);
  routes.reset();
  for (let count = 0; count < 20; count++) await ask(routes.front.door, service, '/one');
  t.deepEqual([routes.seen.v1!.length, routes.seen.v2!.length], [0, 20]);
  const none = await ask(routes.front.door, service, '/none');
  t.deepEqual([none.status, jsonOf(none).code], [500, 'invalid_backend']);
});

test.serial(
  'A5.2: backends of an unknown kind, and missing ones, get 500 for all of their requests',
  async (t) => {
    const service = await routes.routed(t, [
      {
        matches: [{ path: { value: '/kind' } }],
        backendRefs: [{ group: 'x.dev', kind: 'Bucket', name: 'b' }],
      },
      { matches: [{ path: { value: '/gone' } }], backendRefs: [to('gone')] },
    ]);
    for (const [path, reason] of [
      ['/kind', /InvalidKind/],
      ['/gone', /BackendNotFound/],
    ] as const) {
      const refused = await ask(routes.front.door, service, path);
      t.deepEqual([refused.status, jsonOf(refused).code], [500, 'invalid_backend']);
      t.regex(jsonOf(refused).detail, reason);
    }
  },
);

test.serial(
  'A5.2: the share of a service without endpoints is 503, and the others serve theirs',
  async (t) => {
    const service = await routes.routed(t, [{ backendRefs: [to('v1'), to('nobody')] }]);
    const statuses = new Set<number>();
    for (let count = 0; count < 40; count++) statuses.add((await ask(routes.front.door, service)).status);
    t.deepEqual([...statuses].sort(), [200, 503]);
  },
);

test.serial(
  'A5.4: a rule without backends goes to its own service; with a redirect that is sent',
  async (t) => {
    await routes.publish(t, 'v2.default', [
      {
        rules: [
          named('own', { matches: [{ path: { value: '/own' } }], backendRefs: [] }),
          {
            matches: [{ path: { value: '/go' } }],
            filters: [{ type: 'RequestRedirect', requestRedirect: {} }],
          },
        ],
      },
    ]);
    const own = await ask(routes.front.door, 'v2', '/own');
    t.deepEqual([own.headers['x-rule'], own.headers['x-app']], ['own', 'v2']);
    t.is((await ask(routes.front.door, 'v2', '/go')).status, 302);
    t.is((await ask(routes.front.door, 'v2', '/else')).status, 404);
  },
);

test.serial('A5.5: an upgrade passes a route and its filters', async (t) => {
  const application = await startApplication(() => {});
  t.teardown(application.stop);
  application.server.on('upgrade', (request, socket) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\nx-url: ${request.url}\r\n\r\n`,
    );
    socket.pipe(socket);
  });
  await routes.mesh.add('echoing', [{ service: 'echo.default', ports: [application.port] }]);
  const filters = [
    { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/chat' } } },
    { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'x-rule', value: 'ws' }] } },
  ];
  const declared = { apiVersion: 'weft.dev/v1', kind: 'Service', metadata: { name: 'echo' } };
  const rules = [{ filters, backendRefs: [to('echo')], timeouts: { request: '10s' } }];
  await routes.publish(t, 'chat.default', [{ rules }], [declared]);
  const headers = { host: 'chat', connection: 'upgrade', upgrade: 'echo' };
  const asked = request({ host: '127.0.0.1', port: routes.front.door, headers }).end();
  const [response, socket] = (await once(asked, 'upgrade')) as [IncomingMessage, Socket];
  t.like(response.headers, { 'x-url': '/chat', 'x-rule': 'ws' });
  socket.write('ping');
  t.is(String((await once(socket, 'data'))[0]), 'ping');
  socket.destroy();
});

test.serial(
  'A6.1: the time of the whole request bounds tries and waits, and ends the running try',
  async (t) => {
    const retry = { codes: [503], attempts: 10, backoff: '1m' };
    const service = await routes.routed(t, [
      {
        matches: [{ path: { value: '/waits' } }],
        retry,
        timeouts: { request: '60ms' },
        backendRefs: [to('v1')],
      },
      {
        matches: [{ path: { value: '/tries' } }],
        retry: { attempts: 10, backoff: '1ms' },
        timeouts: { request: '120ms', backendRequest: '50ms' },
        backendRefs: [to('v1')],
      },
    ]);
    let cancelled = 0;
    let tries = 0;
    routes.reply((asked, response) => {
      tries += 1;
      if (asked.url === '/waits') response.writeHead(503).end();
      else response.on('close', () => (cancelled += 1));
    });
    const waits = await ask(routes.front.door, service, '/waits');
    t.deepEqual([waits.status, jsonOf(waits).code, tries], [504, 'deadline', 1]);
    tries = 0;
    const tried = await ask(routes.front.door, service, '/tries');
    t.deepEqual([tried.status, jsonOf(tried).code], [504, 'deadline']);
    t.true(tries >= 1 && tries <= 3, `${tries} tries`);
    await until(() => cancelled === tries, 'no try goes on');
  },
);

test.serial('A6.2: a try has to be complete in its time, not only begun', async (t) => {
  const service = await routes.routed(t, [{ timeouts: { backendRequest: '80ms' }, backendRefs: [to('v1')] }]);
  routes.reply((_, response) => void response.writeHead(200, { 'content-length': '9' }).write('half'));
  const sent = request({ host: '127.0.0.1', port: routes.front.door, headers: { host: service } }).end();
  sent.on('error', () => {});
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const closed = Promise.withResolvers<void>();
  response
    .on('error', () => {})
    .on('close', closed.resolve)
    .resume();
  await closed.promise;
  t.false(response.complete);
  await until(() => quiet(routes.front.agent), 'nothing is left');
});

test.serial('A6.3: 0s is no limit at all', async (t) => {
  const service = await routes.routed(t, [
    { timeouts: { request: '0s', backendRequest: '0s' }, backendRefs: [to('v1')] },
  ]);
  let held: ServerResponse | undefined;
  routes.reply((_, response) => {
    held = response;
  });
  const answered = ask(routes.front.door, service);
  await until(() => held !== undefined, 'the application has it');
  held?.end('late');
  t.is((await answered).body.toString(), 'late');
});

test.serial('A7.1: without a stanza nothing that an application has seen is tried again', async (t) => {
  const service = await routes.routed(t, [{ backendRefs: [to('v1')] }]);
  for (const status of [500, 503]) {
    routes.reset();
    routes.reply((_, response) => void response.writeHead(status).end());
    t.is((await ask(routes.front.door, service)).status, status);
    t.is(routes.seen.v1!.length, 1);
  }
  routes.reset();
  routes.reply((asked) => void asked.socket.destroy());
  t.is((await ask(routes.front.door, service, '/', { method: 'POST' })).status, 502);
  t.is(routes.seen.v1!.length, 1);
});

test.serial(
  'A7.1 A7.3: any status from 400 to 599 can be listed, and the last one is passed on as it is',
  async (t) => {
    const codes = [500, 502, 503, 504, 429];
    const service = await routes.routed(t, [{ retry: { codes, backoff: '1ms' }, backendRefs: [to('v1')] }]);
    for (const code of codes) {
      routes.reset();
      routes.reply((_, response) => void response.writeHead(code, { 'x-own': 'own' }).end('own words'));
      const last = await ask(routes.front.door, service);
      t.deepEqual([last.status, last.headers['x-own'], last.body.toString()], [code, 'own', 'own words']);
      t.is(routes.seen.v1!.length, 2, 'attempts left out is one more try');
    }
  },
);

test.serial('A7.3: when the last try is out of time the answer is 504', async (t) => {
  const service = await routes.routed(t, [
    { retry: { attempts: 1, backoff: '1ms' }, timeouts: { backendRequest: '50ms' }, backendRefs: [to('v1')] },
  ]);
  routes.reply(() => {});
  const last = await ask(routes.front.door, service);
  t.deepEqual([last.status, jsonOf(last).code, routes.seen.v1!.length], [504, 'deadline', 2]);
  await until(() => quiet(routes.front.agent), 'nothing is left');
});

test.serial(
  'A7.7: a retry that the budget refuses is 503, whatever status or failure it was for',
  async (t) => {
    // An agent of its own: what it uses up of its budget is missing nowhere else.
    const { door, agent } = await routes.mesh.add('spent', [{ service: 'checkout.default', calls: true }]);
    const service = await routes.routed(t, [
      { retry: { codes: [502], attempts: 5, backoff: '1ms' }, backendRefs: [to('v1')] },
    ]);
    routes.reply((_, response) => void response.writeHead(502).end());
    const asked = 40;
    const answers = await Promise.all(Array.from({ length: asked }, () => ask(door, service)));
    const refused = answers.filter(({ status }) => status === 503);
    t.deepEqual([...new Set(refused.map((one) => jsonOf(one).code))], ['retry_budget_spent']);
    t.true(answers.every(({ status }) => status === 502 || status === 503));
    const retries = LIMITS.retryPerSecond * (LIMITS.retryWindowMs / 1000) + asked * LIMITS.retryRatio;
    t.true(routes.seen.v1!.length <= asked + retries, String(routes.seen.v1!.length));

    // Each request adds a little to the budget.
    const spent = () =>
      until(async () => {
        const answer = await ask(door, service);
        return answer.status === 503 && jsonOf(answer).code === 'retry_budget_spent' && answer;
      }, 'the budget is used up');
    const listed = await spent();
    t.is(listed.headers['retry-after'], '1');
    t.regex(jsonOf(listed).detail, /^status 502: not tried again, over the budget of /);
    routes.reply((request) => void request.socket.destroy());
    t.regex(jsonOf(await spent()).detail, /^upstream_closed: .*: not tried again, over the budget of /);
    await until(() => quiet(agent), 'nothing is left');
  },
);

test.serial('A7.4: backoff is the least wait between two tries', async (t) => {
  const retry = { codes: [503], attempts: 2, backoff: '120ms' };
  const service = await routes.routed(t, [{ retry, backendRefs: [to('v1')] }]);
  const times: number[] = [];
  routes.reply((_, response) => {
    times.push(performance.now());
    response.writeHead(503).end();
  });
  await ask(routes.front.door, service);
  const [first = 0, second = 0, third = 0] = times;
  t.true(second - first >= 119 && third - second >= 119, times.join(' '));
});

test.serial(
  'A7.5: the body is sent again whole, and one that is too large to be kept is not tried again',
  async (t) => {
    const service = await routes.routed(t, [
      { retry: { codes: [503], backoff: '1ms' }, backendRefs: [to('v1')] },
    ]);
    const bodies: string[] = [];
    routes.reply((asked, response) => {
      const chunks: Buffer[] = [];
      asked.on('data', (chunk: Buffer) => chunks.push(chunk));
      asked.on('end', () => {
        bodies.push(Buffer.concat(chunks).toString());
        response.writeHead(bodies.length === 1 ? 503 : 200).end();
      });
    });
    const small = 'x'.repeat(60_000);
    t.is((await ask(routes.front.door, service, '/', { method: 'POST' }, small)).status, 200);
    t.deepEqual(bodies, [small, small]);
    bodies.length = 0;
    t.is((await ask(routes.front.door, service, '/', { method: 'POST' }, 'x'.repeat(100_000))).status, 503);
    t.is(bodies.length, 1);
  },
);
