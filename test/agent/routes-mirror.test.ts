import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as dial } from 'node:net';
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { LIMITS } from '../../src/protocol/limits.ts';
import { publicationGetSubject } from '../../src/protocol/subjects.ts';
import { ask, MESH, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';
import { named, type RoutedMesh, startRoutedMesh, to } from './routed-mesh.ts';

/** Copies of requests (A4.7), which must never be felt by the requests themselves; and the wait for routes. */
let routes: RoutedMesh;

test.before(async () => {
  routes = await startRoutedMesh();
});
test.after.always(() => routes.stop());
test.beforeEach(() => routes.reset());

const mirror = (service: string, more: object = {}) => ({
  type: 'RequestMirror',
  requestMirror: { backendRef: to(service), ...more },
});
const mirroring = (...filters: object[]) => [{ filters, backendRefs: [to('v1')] }];
const allQuiet = () => quiet(routes.front.agent);

/** Reads the whole body of every request, then answers with its digest; tells the digests by service. */
function digests(): Record<string, string[]> {
  const told: Record<string, string[]> = { v1: [], v2: [] };
  routes.reply((request, response, service) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const digest = hash('sha256', Buffer.concat(chunks));
      told[service]?.push(digest);
      response.setHeader('x-app', service).end(digest);
    });
  });
  return told;
}

test.serial(
  'A4.7: a mirror gets the same method, path, query and headers, and its answer is nobody’s',
  async (t) => {
    const service = await routes.routed(t, mirroring(mirror('v2')));
    let copy: IncomingMessage['headers'] = {};
    routes.reply((request, response, name) => {
      if (name === 'v2') copy = request.headers;
      response.writeHead(name === 'v2' ? 500 : 200, { 'x-app': name }).end(name);
    });
    const response = await ask(routes.front.door, service, '/m?x=1', { headers: { 'x-own': 'own' } });
    t.deepEqual([response.status, response.headers['x-app'], response.body.toString()], [200, 'v1', 'v1']);
    await until(() => routes.seen.v2?.includes('GET /m?x=1'), 'the mirror has its copy');
    t.is(copy['x-own'], 'own');
    await until(allQuiet, 'the copy is over');
  },
);

test.serial('A4.7: a mirror gets the body too, whole, of one piece or of many', async (t) => {
  const service = await routes.routed(t, mirroring(mirror('v2')));
  const told = digests();
  // Of no more than may wait a copy loses nothing, however slow its service is.
  for (const size of [10, 300_000, LIMITS.mirrorWaitingBytesMax]) {
    const body = Buffer.alloc(size, `${size} `);
    const response = await ask(routes.front.door, service, '/', { method: 'POST' }, body);
    const digest = hash('sha256', body);
    t.is(response.body.toString(), digest);
    await until(() => told.v2?.includes(digest), `the mirror has all ${size} bytes`);
  }
  await until(allQuiet, 'the copies are over');
});

test.serial('A4.7: a mirror for none of the requests gets none, and several get one each', async (t) => {
  const none = await routes.routed(
    t,
    mirroring(mirror('v2', { percent: 0 }), mirror('v2', { fraction: { numerator: 0, denominator: 3 } })),
  );
  const both = await routes.routed(
    t,
    mirroring(mirror('v2'), mirror('v2', { fraction: { numerator: 7, denominator: 7 } })),
  );
  await ask(routes.front.door, none, '/none');
  await ask(routes.front.door, both, '/both');
  await until(() => routes.seen.v2?.length === 2, 'both copies have come');
  t.deepEqual(routes.seen.v2, ['GET /both', 'GET /both']);
  await until(allQuiet, 'the copies are over');
});

test.serial(
  'A4.7: a mirror that is not there, or nobody serves, or refuses does not touch the request',
  async (t) => {
    for (const name of ['gone', 'nobody', 'dead']) {
      const service = await routes.routed(t, mirroring(mirror(name)));
      const response = await ask(
        routes.front.door,
        service,
        '/',
        { method: 'POST' },
        Buffer.alloc(200_000, 'x'),
      );
      t.is(response.headers['x-app'], 'v1', name);
    }
    await until(allQuiet, 'nothing is left');
  },
);

test.serial('A4.7: a mirror that breaks off in the middle of a body leaves the request alone', async (t) => {
  const service = await routes.routed(t, mirroring(mirror('v2')));
  let broken = 0;
  const body = Buffer.alloc(LIMITS.mirrorWaitingBytesMax, 'x');
  routes.reply((request, response, name) => {
    if (name === 'v2') {
      request.once('data', () => {
        broken += 1;
        request.socket.destroy();
      });
      return;
    }
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => response.end(String(bytes)));
  });
  t.is(
    (await ask(routes.front.door, service, '/', { method: 'POST' }, body)).body.toString(),
    String(body.length),
  );
  await until(() => broken === 1, 'the mirror has broken off');
  await until(allQuiet, 'the copy is over');
});

test.serial(
  'A4.7: a mirror that falls too far behind loses its copy, and the request never waits for it',
  async (t) => {
    const service = await routes.routed(t, mirroring(mirror('v2')));
    let behind: IncomingMessage | undefined;
    routes.reply((request, response, name) => {
      // Takes nothing of the body as yet.
      if (name === 'v2') behind = request.on('error', () => {});
      else request.resume().on('end', () => response.end('whole'));
    });
    const { mirrorWaitingBytesMax, streamWindowMaxBytes } = LIMITS;
    // More than waits for credit, and than the sockets and the window on the way hold.
    const body = Buffer.alloc(mirrorWaitingBytesMax + streamWindowMaxBytes + 16 * 1024 * 1024, 'x');
    const response = await ask(routes.front.door, service, '/', { method: 'POST' }, body);
    t.is(response.body.toString(), 'whole');
    await until(allQuiet, 'the copy is over');
    const copy = await until(() => behind, 'the mirror has begun');
    await until(() => copy.resume().destroyed, 'it hears of it');
    t.false(copy.complete, 'it was cut off');
  },
);

/** One more service, `name`, served by an agent of its own; its application keeps its responses waiting. */
async function aside(t: ExecutionContext, name: string) {
  const waiting: ServerResponse[] = [];
  const application = await startApplication((request, response) => {
    request.resume();
    waiting.push(response);
  });
  t.teardown(application.stop);
  const { agent } = await routes.mesh.add(`aside-${name}`, [
    { service: `${name}.default`, ports: [application.port] },
  ]);
  return { agent, waiting, declared: { apiVersion: 'weft.dev/v1', kind: 'Service', metadata: { name } } };
}

test.serial(
  'A4.7: the agent of a mirror that is cut off with a copy under way takes nothing with it',
  async (t) => {
    const { agent, waiting, declared } = await aside(t, 'cut');
    await routes.publish(t, 'cut-parent.default', [{ rules: mirroring(mirror('cut')) }], [declared]);
    let held: ServerResponse | undefined;
    routes.reply((_, response) => {
      held = response;
    });
    const service = 'cut-parent';
    const first = ask(routes.front.door, service, '/held', { method: 'POST' }, 'body');
    await until(() => waiting.length === 1 && routes.seen.v1?.length === 1, 'request and copy are under way');
    await agent.stop();
    routes.reply((request, response) => request.resume().on('end', () => response.end('whole')));
    held?.end('answered');
    t.is((await first).body.toString(), 'answered');
    const body = Buffer.alloc(500_000, 'x');
    t.is(
      (await ask(routes.front.door, service, '/after', { method: 'POST' }, body)).body.toString(),
      'whole',
    );
    await until(allQuiet, 'nothing is left');
  },
);

test.serial('A4.7: an agent that drains finishes the copies that it has begun', async (t) => {
  const { waiting, declared } = await aside(t, 'slow');
  await routes.publish(t, 'slow-parent.default', [{ rules: mirroring(mirror('slow')) }], [declared]);
  const caller = await routes.mesh.add('drained', [{ service: 'checkout.default', calls: true }], 60_000);
  t.is((await ask(caller.door, 'slow-parent', '/', { method: 'POST' }, 'body')).headers['x-app'], 'v1');
  await until(() => waiting.length === 1, 'the copy is under way');
  t.is(caller.agent.counts().mirrorCopies, 1);
  const drained = caller.agent.drain();
  await until(() => isClosed(caller.door), 'the door is closed, and the copy is all that is left');
  t.is(caller.agent.state, 'draining');
  t.is(caller.agent.counts().mirrorCopies, 1);
  waiting[0]?.end('late');
  await drained;
  t.is(caller.agent.state, 'stopped');
  t.is(caller.agent.counts().mirrorCopies, 0);
});

function isClosed(port: number): Promise<boolean> {
  const socket = dial(port, '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.on('connect', () => resolve(false)).on('error', () => resolve(true));
  return promise.finally(() => socket.destroy());
}

test.serial(
  'a request whose routes cannot be learned is held for a moment, then goes to the service itself',
  async (t) => {
    const mesh = await startMesh();
    t.teardown(mesh.stop);
    const events: string[] = [];
    const application = await startApplication((request, response) => {
      events.push(`${request.method} ${request.url}`);
      request.pipe(response);
    });
    t.teardown(application.stop);
    await mesh.add('back', [{ service: 'orders.default', ports: [application.port] }]);
    const { agent, door } = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
    // It takes the place of the bucket, and never says a word.
    const silent = await connect({ servers: mesh.nats.url });
    t.teardown(() => silent.close());
    silent.subscribe(publicationGetSubject(MESH, 'snapshot', 'orders.default'), {
      callback: () => void events.push('routes asked for'),
    });
    await silent.flush();
    const body = Buffer.alloc(300_000, 'x');
    const answered = ask(door, 'orders', '/held', { method: 'POST' }, body);
    await until(() => events.length > 0, 'the routes are asked for');
    t.is(agent.counts().outboundRequests, 1);
    t.is(agent.counts().streamsOpened, 0, 'nothing has left');
    const { status, body: echoed } = await answered;
    t.deepEqual([status, echoed.equals(body)], [200, true]);
    t.is(events[0], 'routes asked for');
    t.is(events.filter((event) => event === 'POST /held').length, 1);
    await until(() => quiet(agent), 'nothing is left');
  },
);

test.serial('A1.4: a mirror without percent or fraction copies every request', async (t) => {
  const service = await routes.routed(t, [named('all', { filters: [mirror('v2')] })]);
  for (let count = 0; count < 10; count++) await ask(routes.front.door, service, `/${count}`);
  await until(() => routes.seen.v2?.length === 10, 'every copy has come');
  t.pass();
});
