import type { AddressInfo } from 'node:net';
import test from 'ava';
import { type Crossing, startCrossing } from '../kit/crossing.ts';
import { freePort } from '../kit/free-port.ts';
import { ask, startApplication } from '../kit/mesh.ts';
import type { RawPeer } from '../kit/raw-peer.ts';

let crossing: Crossing;
test.before(async () => {
  crossing = await startCrossing();
});
test.after.always(() => crossing.mesh.stop());

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('requests are spread over the local instances of a workload', async (t) => {
  const served = new Map<number, number>();
  const ports: number[] = [];
  for (let count = 0; count < 3; count++) {
    const application = await startApplication((request, response) => {
      const { localPort = 0 } = request.socket;
      served.set(localPort, (served.get(localPort) ?? 0) + 1);
      response.end();
    });
    t.teardown(application.stop);
    ports.push((application.server.address() as AddressInfo).port);
  }
  const service = await crossing.at(ports);
  for (let count = 0; count < 9; count++) t.is((await ask(crossing.door, service, '/')).status, 200);
  t.deepEqual(
    ports.map((port) => served.get(port)),
    [3, 3, 3],
  );
});

test('an instance that does not accept connections costs no request, not even one that must not be repeated', async (t) => {
  const application = await startApplication((request, response) => {
    request.pipe(response);
  });
  t.teardown(application.stop);
  const service = await crossing.at([await freePort(), application.port]);
  for (let count = 0; count < 8; count++) {
    const response = await ask(crossing.door, service, '/', { method: 'POST' }, 'body');
    t.is(response.status, 200);
    t.is(response.body.toString(), 'body');
  }
});

/** Answers the first request of its first connection, and plays `then` when the second has come on it. */
function stale(
  t: Parameters<Crossing['raw']>[0],
  then: (app: RawPeer) => void,
): Promise<{ service: string; requests: string[] }> {
  const requests: string[] = [];
  let connections = 0;
  return crossing
    .raw(t, async (app) => {
      const first = ++connections === 1;
      for (let count = 1; ; count++) {
        const head = await app.head();
        requests.push(head.slice(0, head.indexOf(' HTTP')));
        if (head.includes('content-length: 4')) await app.bytes(4);
        if (first && count === 2) return then(app);
        app.write(OK);
      }
    })
    .then((service) => ({ service, requests }));
}

test('a GET whose pooled connection is closed before any byte of a response is sent again', async (t) => {
  const { service, requests } = await stale(t, (app) => app.socket.destroy());
  for (const path of ['/1', '/2']) t.is((await ask(crossing.door, service, path)).status, 200);
  t.deepEqual(requests, ['GET /1', 'GET /2', 'GET /2']);
});

test('a POST whose pooled connection is closed is not sent again: it may have been acted on', async (t) => {
  const { service, requests } = await stale(t, (app) => app.socket.destroy());
  await ask(crossing.door, service, '/1');
  const response = await ask(crossing.door, service, '/2', { method: 'POST' });
  t.is(response.status, 502);
  t.regex(String(response.headers['proxy-status']), /upstream_closed/);
  t.deepEqual(requests, ['GET /1', 'POST /2']);
});

test('a PUT whose body has been sent on a pooled connection that closes is not sent again', async (t) => {
  const { service, requests } = await stale(t, (app) => app.socket.destroy());
  await ask(crossing.door, service, '/1');
  const put = { method: 'PUT', headers: { 'content-length': 4 } };
  t.is((await ask(crossing.door, service, '/2', put, 'body')).status, 502);
  t.deepEqual(requests, ['GET /1', 'PUT /2']);
});

for (const [what, bytes] of [
  ['half a head', 'HTTP/1.1 200 OK\r\nX: '],
  ['one byte', 'H'],
  ['something that is not HTTP', 'nonsense\r\n\r\n'],
] as const) {
  test(`a GET that was answered with ${what} is not sent again`, async (t) => {
    const { service, requests } = await stale(t, (app) => app.end(bytes));
    await ask(crossing.door, service, '/1');
    t.is((await ask(crossing.door, service, '/2')).status, 502);
    t.deepEqual(requests, ['GET /1', 'GET /2']);
  });
}

test('a GET on a fresh connection that closes is not sent again', async (t) => {
  let requests = 0;
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    requests += 1;
    app.end();
  });
  t.is((await ask(crossing.door, service, '/')).status, 502);
  t.is(requests, 1);
});

test('an application that closes right after each response loses no request', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    await app.head();
    app.end(OK);
  });
  for (let count = 0; count < 20; count++) {
    const response = await ask(crossing.door, service, '/', { method: count % 2 === 0 ? 'GET' : 'DELETE' });
    t.is(response.status, 200);
  }
});

test('bytes behind a response are never taken for the next one', async (t) => {
  const service = await crossing.raw(t, async (app) => {
    for (;;) {
      await app.head();
      app.write(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`);
    }
  });
  for (let count = 0; count < 5; count++) {
    t.is((await ask(crossing.door, service, '/')).body.toString(), 'ok');
  }
});

test('a workload whose upstream is a door of its own is told of the loop', async (t) => {
  const { door } = await crossing.mesh.add('looper', [{ service: 'looper.default', calls: true }]);
  const service = await crossing.at([door]);
  const response = await ask(crossing.door, service, '/');
  t.is(response.status, 508);
  t.regex(String(response.headers['proxy-status']), /error=proxy_loop_detected; details="loop: /);
});
