/** However `/admin` is written, a DENY of it holds for every kind of application: what one was asked for is compared as it reads it. */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import { intrude } from '../kit/intruder.ts';
import { MESH, startMesh, type TestMesh, until } from '../kit/mesh.ts';
import { startPublisher } from '../kit/publisher.ts';
import { dial } from '../kit/raw-peer.ts';
import { Ear } from '../link/pair.ts';
import { policy } from '../protocol/authorization/policies.ts';
import { APPLICATIONS, reachesAdmin, spellings } from './path-spellings.ts';

const SPELLINGS = spellings();

/** An application that answers everything, and keeps the targets as they came. */
async function startRecorder(t: ExecutionContext): Promise<{ port: number; targets: string[] }> {
  const targets: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        targets.push(text.split(' ')[1] ?? '');
        text = text.slice(end + 4);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, targets };
}

async function guarded(t: ExecutionContext, policies: readonly string[]) {
  const recorder = await startRecorder(t);
  const mesh = await startMesh();
  t.teardown(() => mesh.stop());
  const { publish } = await startPublisher(t, mesh.nats.url, mesh.seed);
  const { resources } = readResources(policies.join('\n---\n'), 'test.yaml');
  const index = createCompileIndex(resources.map(({ resource }) => resource));
  const snapshot = compileService('orders.default', index, new Set(), { mesh: MESH, epoch: 1, revision: 1 });
  await publish('snapshot', snapshot as Parameters<typeof publish>[1]);
  await mesh.add('back', [{ service: 'orders.default', ports: [recorder.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  return { mesh, door: front.door, targets: recorder.targets };
}

/** The status with which a door answers each target. */
async function throughDoor(door: number, targets: readonly string[]): Promise<number[]> {
  const statuses: number[] = [];
  for (const target of targets) {
    const peer = await dial(door);
    peer.write(`GET ${target} HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n`);
    statuses.push(Number((await peer.rest()).split(' ')[1]));
  }
  return statuses;
}

/** What an agent that refuses nothing early hears of each. */
async function pastDoor(t: ExecutionContext, mesh: TestMesh, targets: readonly string[]): Promise<string[]> {
  const link = await intrude(t, mesh.nats.url, mesh.seed, ['thief.default']);
  const ears = targets.map((target) => {
    const ear = new Ear();
    const head = `GET ${target} orders.default thief.default -\r\nhost: orders\r\n`;
    link.openToService('orders.default', head, true, ear, 1);
    return ear;
  });
  await until(() => ears.every(({ heard }) => heard.length > 0), 'all are answered');
  return ears.map(({ heard }) => heard[0]?.split(/\r\n| last/)[0] ?? '');
}

const DENY = [policy('no-admin', 'DENY', [{ to: [{ paths: ['/admin', '/admin/*'] }] }])];
const ALLOW = [policy('public', 'ALLOW', [{ to: [{ paths: ['/public/*', '/x', '/x/*'] }] }])];

test('hundreds of spellings reach the /admin of some application that nobody guards', (t) => {
  const reaching = SPELLINGS.filter((one) =>
    Object.values(APPLICATIONS).some((read) => reachesAdmin(read, one)),
  );
  t.true(reaching.length >= 200, `${reaching.length}`);
  for (const [name, read] of Object.entries(APPLICATIONS)) {
    t.true(
      reaching.some((one) => reachesAdmin(read, one)),
      `${name}: some`,
    );
  }
});

for (const [what, policies] of [
  ['a DENY of /admin', DENY],
  ['an ALLOW of other paths', ALLOW],
] as const) {
  test(`no spelling gets past ${what}`, async (t) => {
    const { mesh, door, targets } = await guarded(t, policies);
    const statuses = await throughDoor(door, SPELLINGS);
    // Backslashes stay within a door: only paths may be sent on.
    const answers = await pastDoor(
      t,
      mesh,
      SPELLINGS.filter((one) => one.startsWith('/')),
    );
    for (const status of statuses) t.true([200, 400, 403].includes(status), String(status));
    for (const target of targets) {
      for (const [name, read] of Object.entries(APPLICATIONS)) {
        t.false(reachesAdmin(read, target), `${target}: an application that ${name}`);
      }
    }
    t.true(statuses.filter((status) => status === 403).length > 20, 'what can be read in one way is denied');
    t.true(answers.filter((answer) => answer === 'reset ambiguous_path').length > 100, 'the rest is refused');
  });
}

test('ordinary paths reach the application beside such a DENY, as they were sent', async (t) => {
  const { door, targets } = await guarded(t, DENY);
  const ordinary = [
    '/',
    '/a%20b',
    '/caf%C3%A9',
    "/a!$&'()*+,=:@b~",
    '/100%25',
    '/.well-known/x',
    '/x...y',
    '/administrator',
  ];
  ordinary.push(
    '/%7B%22a%22%7D',
    '/search?q=a%2Fb;c=//..%252e',
    '/ADMIN',
    '/files/a%2Cb%3D',
    '/%E2%82%AC/%F0%9F%98%80',
    '/a|b"c',
  );
  t.deepEqual(
    await throughDoor(door, ordinary),
    ordinary.map(() => 200),
  );
  t.deepEqual(targets, ordinary);
});
