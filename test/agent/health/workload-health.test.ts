/** What health does to the requests of a workload. */
import test, { type ExecutionContext } from 'ava';
import type { HealthConfig } from '../../../src/agent/workload-config.ts';
import { ask, startApplication, startMesh, type TestAgent, until } from '../../kit/mesh.ts';

const ORDERS = 'orders.default';
const CHECKOUT = { service: 'checkout.default', calls: true };
const HEALTH: HealthConfig = {
  path: '/healthz',
  expect: [[200, 399]],
  intervalMs: 5,
  jitter: 0.1,
  timeoutMs: 5_000,
  healthyAfter: 1,
  unhealthyAfter: 2,
};

/** An application that answers with its name, and whose health is the test's. */
async function startPatient(t: ExecutionContext, name: string) {
  const patient = { healthy: true, port: 0 };
  const application = await startApplication((incoming, response) => {
    const asked = incoming.url === '/healthz';
    response.writeHead(asked && !patient.healthy ? 500 : 200).end(asked ? '' : name);
  });
  t.teardown(application.stop);
  patient.port = application.port;
  return patient;
}

async function healthOf({ agent }: TestAgent): Promise<string> {
  const text = await agent.registry.getSingleMetricAsString('weft_workload_healthy');
  return /weft_workload_healthy\{service="orders.default"\} (\d)/.exec(text)?.[1] ?? '';
}

test('an unhealthy workload is not asked, and is asked again when it is healthy', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const [one, two] = [await startPatient(t, 'one'), await startPatient(t, 'two')];
  const back = await mesh.add('back', [{ service: ORDERS, ports: [one.port], health: HEALTH }]);
  await mesh.add('other', [{ service: ORDERS, ports: [two.port], health: HEALTH }]);
  const front = await mesh.add('front', [CHECKOUT]);
  const who = async () => (await ask(front.door, 'orders')).body.toString();
  const names = async () => [...new Set(await Promise.all(Array.from({ length: 20 }, who)))].sort().join();
  await until(async () => (await names()) === 'one,two', 'both are asked');

  one.healthy = false;
  await until(async () => (await healthOf(back)) === '0', 'it is found unhealthy');
  t.regex(back.agent.waiting().join(), /orders.default is unhealthy: GET http:.*\/healthz: status 500/);
  await until(async () => (await names()) === 'two', 'the bus knows');
  for (let round = 0; round < 3; round++) t.is(await names(), 'two');

  one.healthy = true;
  await until(async () => (await names()) === 'one,two', 'it is asked again');
});

test('a workload that has not been found healthy yet takes no request', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const patient = await startPatient(t, 'one');
  patient.healthy = false;
  const back = await mesh.add('back', [{ service: ORDERS, ports: [patient.port], health: HEALTH }]);
  const front = await mesh.add('front', [CHECKOUT]);
  t.is((await ask(front.door, 'orders')).status, 503);
  t.true(back.agent.ready, 'its agent is ready all the same');
  patient.healthy = true;
  await until(async () => (await ask(front.door, 'orders')).status === 200, 'it is asked');
});

test('of several local instances the unhealthy one is not asked', async (t) => {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const [one, two] = [await startPatient(t, 'one'), await startPatient(t, 'two')];
  one.healthy = false;
  await mesh.add('back', [{ service: ORDERS, ports: [one.port, two.port], health: HEALTH }]);
  const front = await mesh.add('front', [CHECKOUT]);
  await until(async () => (await ask(front.door, 'orders')).status === 200, 'it is ready');
  const who = async () => (await ask(front.door, 'orders')).body.toString();
  t.deepEqual([...new Set(await Promise.all(Array.from({ length: 20 }, who)))], ['two']);
  one.healthy = true;
  await until(async () => (await who()) === 'one', 'the other one is asked too');
});
