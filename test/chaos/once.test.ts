/** What is not safe to repeat, while somebody with full rights on the bus has it sent again. */
import test from 'ava';
import { serviceSubject } from '../../src/protocol/subjects.ts';
import { MESH } from '../controller/control-plane.ts';
import { until } from '../kit/mesh.ts';
import { ORDERS, startAttackedMesh } from './attacked-mesh.ts';
import { startBusAttacker } from './bus-attacker.ts';

const SERVERS = ['app-1', 'app-2'];
const POSTS = 10;

test('while nobody is listed no POST is sent that could be played to another endpoint', async (t) => {
  const mesh = await startAttackedMesh(t);
  for (const host of SERVERS) await mesh.startAgent(host);
  for (const service of ['orders', 'stock']) {
    await until(async () => (await mesh.call(service, 'GET')).status === 200, 'it is served');
  }
  await until(() => mesh.isListed(...SERVERS), 'all are listed');
  for (const host of SERVERS) await mesh.agentOf(host).agent.stop();
  await until(() => mesh.isListed(), 'nobody is listed');
  await mesh.stopController();
  for (const host of SERVERS) await mesh.restart(host);
  const { records, publish, flush } = await startBusAttacker(t, mesh.plane.nats.url);
  for (let post = 0; post < POSTS; post++) await mesh.call('orders', 'POST', 100);
  const packets = records.filter(({ subject }) => subject === serviceSubject(MESH, ORDERS));
  for (let time = 0; time < 20; time++) for (const { subject, data } of packets) publish(subject, data);
  await flush();
  for (let post = 0; post < POSTS; post++) await mesh.call('orders', 'GET');
  mesh.checkHarm();
});
