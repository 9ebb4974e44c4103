import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { freePort } from '../kit/free-port.ts';
import { giveIdentity } from '../kit/identity-file.ts';
import { ask, MESH, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

const ORDERS = 'orders.default';
const codeOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString()).code;

test('an agent that is killed leaves no request hanging, and another takes its place', async (t) => {
  t.timeout(60_000);
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  let silent = 0;
  const orders = await startApplication((incoming, response) => {
    if (incoming.url === '/silent') silent += 1;
    else response.end('ok');
  });
  t.teardown(orders.stop);
  const folder = await tempFolder(t);
  const file = join(folder, 'agent.yaml');
  const data = join(folder, 'data');
  await giveIdentity(data, mesh.seed, MESH, 'victim', [ORDERS]);
  const config = {
    mesh: MESH,
    host: 'victim',
    nats: { servers: [mesh.nats.url] },
    admin: `127.0.0.1:${await freePort()}`,
    data,
    // This mesh has no controller.
    authorization: { default: 'allow' },
    workloads: [{ service: 'orders', upstream: [`http://127.0.0.1:${orders.port}`] }],
  };
  await writeFile(file, JSON.stringify(config));
  const victim = startWeft(t, ['agent', '-f', file]);
  await victim.line(/"state":"serving"/);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  t.is((await ask(front.door, 'orders')).status, 200);
  const under = [ask(front.door, 'orders', '/silent'), ask(front.door, 'orders', '/silent')];
  await until(() => silent === 2, 'the application has them');

  victim.child.kill('SIGKILL');
  await victim.exited;

  const alone = await ask(front.door, 'orders', '/', { method: 'POST' }, 'body');
  t.deepEqual([alone.status, codeOf(alone)], [503, 'no_endpoint']);
  await mesh.add('other', [{ service: ORDERS, ports: [orders.port] }]);
  t.is((await ask(front.door, 'orders', '/', { method: 'POST' }, 'body')).status, 200);
  for (const answer of await Promise.all(under)) {
    t.true(['not_accepted', 'deadline'].includes(codeOf(answer)), codeOf(answer));
  }
  await until(() => quiet(front.agent), 'nothing is left');
});
