/** The filter ExternalAuth (A4): `v2` decides, `v1` is the application. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import test from 'ava';
import { ask, quiet, until } from '../kit/mesh.ts';
import { jsonOf, plainly, type Reply, type RoutedMesh, startRoutedMesh, to } from './routed-mesh.ts';

let routes: RoutedMesh;
test.before(async () => {
  routes = await startRoutedMesh();
});
test.after.always(() => routes.stop());
test.beforeEach(() => routes.reset());

const auth = (more: object = {}, service = 'v2', http: object = {}) => ({
  type: 'ExternalAuth',
  externalAuth: { protocol: 'HTTP', backendRef: to(service), http, ...more },
});
const rule = (filters: object[], more: object = {}) => [{ filters, backendRefs: [to('v1')], ...more }];

/** What the authorization service was asked: its head and its body. */
interface Question {
  readonly line: string;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** Has v2 decide with `decide`, and v1 answer plainly with the body that it got in `x-body`. */
function deciding(decide: (question: Question, response: Parameters<Reply>[1]) => void): Question[] {
  const questions: Question[] = [];
  routes.reply(async (request, response, service) => {
    const body = (await request.toArray()).map(String).join('');
    if (service === 'v1') return plainly(request, response.setHeader('x-body', body.length), service);
    const question = { line: `${request.method} ${request.url}`, headers: request.headers, body };
    questions.push(question);
    decide(question, response);
  });
  return questions;
}

test.serial(
  'A4: a request goes on once the service agrees, with what is allowed of its response',
  async (t) => {
    const questions = deciding((_, response) => {
      response.writeHead(200, { 'x-user': 'ann', 'x-secret': 'no', 'content-type': 'text/plain' }).end('yes');
    });
    const http = { path: '/check/', allowedHeaders: ['X-Tenant'], allowedResponseHeaders: ['X-User'] };
    const service = await routes.routed(t, rule([auth({}, 'v2', http)]));
    const headers = { authorization: 'Bearer x', 'x-tenant': 'a', cookie: 'b=1', 'x-user': 'forged' };
    const response = await ask(routes.front.door, service, '/x?q=1', { method: 'POST', headers }, 'body');
    t.is(response.status, 200);
    t.is(response.headers['x-app'], 'v1');
    t.is(response.headers['x-body'], '4');
    const { url, headers: got } = jsonOf(response);
    t.deepEqual([url, got['x-user'], got['x-secret'], got.cookie], ['/x?q=1', 'ann', undefined, 'b=1']);
    const [question] = questions;
    t.is(question?.line, 'POST /check/x?q=1');
    t.like(question?.headers, {
      host: service,
      authorization: 'Bearer x',
      'x-tenant': 'a',
      'content-length': '0',
    });
    t.is(question?.headers.cookie, undefined);
    t.is(question?.body, '');
    await until(() => quiet(routes.front.agent), 'nothing is left');
  },
);

test.serial(
  'A4: any other status than 200 is the response, with its lines and body, and nothing goes on',
  async (t) => {
    const service = await routes.routed(t, rule([auth()]));
    for (const status of [201, 204, 302, 401, 403, 500, 503]) {
      deciding((_, response) => {
        response.writeHead(status, { 'www-authenticate': 'Basic', location: '/login' });
        response.end(status === 204 ? undefined : 'no'.repeat(50_000));
      });
      const response = await ask(routes.front.door, service, '/', { method: 'POST' }, 'x'.repeat(200_000));
      t.is(response.status, status);
      t.is(response.headers['www-authenticate'], 'Basic');
      t.is(response.body.length, status === 204 ? 0 : 100_000);
    }
    t.deepEqual(routes.seen.v1, []);
    await until(() => quiet(routes.front.agent), 'nothing is left');
  },
);

test.serial(
  'A4: it fails closed: a service that is gone, refuses, breaks off or is unknown lets nothing through',
  async (t) => {
    for (const [name, status, code] of [
      ['nobody', 503, 'auth_unavailable'],
      ['dead', 503, 'auth_unavailable'],
      ['missing', 500, 'invalid_backend'],
    ] as const) {
      const service = await routes.routed(t, rule([auth({}, name)]));
      const response = await ask(routes.front.door, service);
      t.deepEqual([response.status, jsonOf(response).code], [status, code], name);
    }
    routes.reply((request, response, service) => {
      if (service === 'v2') request.socket.destroy();
      else plainly(request, response, service);
    });
    const service = await routes.routed(t, rule([auth()], { retry: { attempts: 3, codes: [500] } }));
    const response = await ask(routes.front.door, service);
    t.deepEqual([response.status, jsonOf(response).code], [503, 'auth_unavailable']);
    t.deepEqual(routes.seen.v1, []);
    await until(() => quiet(routes.front.agent), 'nothing is left');
  },
);

test.serial('A4 and A6: the time of the request runs while it is asked', async (t) => {
  routes.reply(() => {});
  const service = await routes.routed(t, rule([auth()], { timeouts: { request: '60ms' } }));
  const response = await ask(routes.front.door, service);
  t.deepEqual([response.status, jsonOf(response).code], [504, 'deadline']);
  await until(() => quiet(routes.front.agent), 'nothing is left');
});

test.serial(
  'A4: forwardBody shows the body, and the application gets it after that; a larger one is 413',
  async (t) => {
    const questions = deciding(({ body }, response) => {
      response.writeHead(body.startsWith('good') ? 200 : 403).end();
    });
    const service = await routes.routed(t, rule([auth({ forwardBody: { maxSize: 10_000 } })]));
    const post = (body: string, headers: object = {}) =>
      ask(routes.front.door, service, '/', { method: 'POST', headers: { ...headers } }, body);
    const good = `good${'x'.repeat(9_996)}`;
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const response = await post(good, headers);
      t.deepEqual([response.status, response.headers['x-body']], [200, '10000']);
      const [question] = questions.splice(0);
      t.deepEqual([question?.body, question?.headers['content-length']], [good, '10000']);
      t.is((await post('bad', headers)).status, 403);
      questions.length = 0;
      const large = await post(`${good}x`, headers);
      t.deepEqual([large.status, jsonOf(large).code], [413, 'body_too_large']);
      t.deepEqual(questions, []);
    }
    t.is((await ask(routes.front.door, service)).status, 403, 'no body is an empty one');
    await until(() => quiet(routes.front.agent), 'nothing is left');
  },
);

test.serial(
  'A4: a client that waits for 100 (Continue) is told, so that its body can be shown',
  async (t) => {
    deciding(({ body }, response) => response.writeHead(body === 'good' ? 200 : 403).end());
    const service = await routes.routed(t, rule([auth({ forwardBody: { maxSize: 10 } })]));
    const headers = { host: service, expect: '100-continue', 'content-length': 4 };
    const sent = httpRequest({
      host: '127.0.0.1',
      port: routes.front.door,
      method: 'POST',
      headers,
      agent: false,
    });
    sent.flushHeaders();
    await once(sent, 'continue');
    sent.end('good');
    const [response] = await once(sent, 'response');
    response.resume();
    t.is(response.statusCode, 200);
  },
);

test.serial('A4: a body waits for the decision, and arrives whole', async (t) => {
  const held: (() => void)[] = [];
  deciding((_, response) => held.push(() => response.end()));
  const service = await routes.routed(t, rule([auth()]));
  const answer = ask(routes.front.door, service, '/', { method: 'POST' }, Buffer.alloc(3_000_000, 'x'));
  await until(() => held.length === 1, 'the question is put');
  t.deepEqual(routes.seen.v1, []);
  held[0]?.();
  t.is((await answer).headers['x-body'], '3000000');
  await until(() => quiet(routes.front.agent), 'nothing is left');
});

test.serial('A4: retries, sessions and CORS are as without it, and the service is asked once', async (t) => {
  const questions = deciding((_, response) => response.writeHead(200, { 'x-user': 'ann' }).end());
  const answer = routes.routed(
    t,
    rule([auth(), { type: 'CORS', cors: { allowOrigins: ['https://shop.example'] } }], {
      sessionPersistence: { cookie: { name: 'sid' } },
    }),
  );
  const service = await answer;
  const origin = 'https://shop.example';
  const first = await ask(routes.front.door, service, '/', { headers: { origin } });
  t.is(first.headers['access-control-allow-origin'], origin);
  t.regex(first.headers['set-cookie']?.[0] ?? '', /^sid=/);
  t.is(questions.length, 1);
  deciding((_, response) => response.writeHead(401).end());
  const denied = await ask(routes.front.door, service, '/', { headers: { origin } });
  t.deepEqual([denied.status, denied.headers['access-control-allow-origin']], [401, origin]);
  t.is(denied.headers['set-cookie'], undefined);
});

test.serial('A4: a client that goes away takes its question along', async (t) => {
  routes.reply(() => {});
  const service = await routes.routed(t, rule([auth()]));
  const sent = httpRequest({
    host: '127.0.0.1',
    port: routes.front.door,
    headers: { host: service, connection: 'keep-alive' },
    agent: false,
  });
  sent.on('error', () => {}).end();
  await until(() => routes.seen.v2?.length === 1, 'the question is put');
  sent.destroy();
  await until(() => quiet(routes.front.agent), 'nothing is left');
});
