import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { until } from '../kit/mesh.ts';
import { MESH, startControlPlane } from './control-plane.ts';

const FLOOD = fileURLToPath(new URL('./flood.ts', import.meta.url));

/**
 * The flood is meant to be hard on heartbeats: the lease has to bear a busy machine beside it. The fleet's clock goes on by two
 * sweeps at most in one, so short ones would make it slow while the loop is.
 */
const CALM = { leaseMs: 10_000, leaseTrustMs: 8_000, sweepMs: 250 };

/** Publishes what looks like heartbeats of these agents, as fast as the bus takes it, until it is ended. */
async function flood(t: ExecutionContext, url: string, agents: readonly string[]) {
  const child = spawn(process.execPath, [FLOOD, url, MESH, ...agents], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const end = async () => {
    child.stdin.end();
    child.kill('SIGKILL');
    await ended;
  };
  t.teardown(end);
  await once(child.stdout, 'data');
  return { end };
}

test.serial('a flood of forged heartbeats takes no agent from a list, and lets a new one in', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add(CALM);
  await until(() => controller.leading, 'it leads');
  const listed = async () =>
    (await plane.endpoints('orders.default'))?.endpoints
      .map(({ agent, state }) => `${agent} ${state}`)
      .join();
  for (const name of ['app-1', 'app-2']) plane.agent(name, ['orders.default']).keepBeating();
  await until(async () => (await listed()) === 'app-1 ready,app-2 ready', 'both are listed');
  const revision = (await plane.endpoints('orders.default'))?.revision;

  const { end } = await flood(t, plane.nats.url, ['app-1']);
  const dropped = async () => {
    const text = await controller.metrics.registry.getSingleMetricAsString(
      'weft_controller_heartbeats_total',
    );
    return Number(/result="dropped"\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  await until(async () => (await dropped()) > 5_000, 'more come than can be checked');
  t.deepEqual(
    (await plane.endpoints('orders.default'))?.revision,
    revision,
    'nobody has left the list meanwhile',
  );
  const { checks } = await plane.done('check', {});
  const check = checks.find(({ name }) => name === 'heartbeats');
  t.is(check?.result, 'warning');
  plane.agent('app-3', ['orders.default']).keepBeating();
  await until(
    async () => (await listed()) === 'app-1 ready,app-2 ready,app-3 ready',
    'the new one is listed, flood or not',
  );
  t.true(controller.leading);
  await end();
});

test.serial('whose subject is not flooded is lost after its lease, flood or not', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add(CALM);
  await until(() => controller.leading, 'it leads');
  const [one, two, three] = ['app-1', 'app-2', 'app-3'].map((name) => plane.agent(name, ['orders.default']));
  const listed = async () =>
    (await plane.endpoints('orders.default'))?.endpoints.map(({ agent }) => agent).join();
  for (const agent of [one, two, three]) agent!.keepBeating();
  await until(async () => (await listed()) === 'app-1,app-2,app-3', 'all are listed');
  three!.silent();
  // A new leader takes nobody from a list before it has listened for a lease, and in a flood it never has.
  await until(async () => (await listed()) === 'app-1,app-2', 'it has listened for a lease');
  await flood(t, plane.nats.url, ['app-1']);
  two!.silent();
  await until(async () => (await listed()) === 'app-1', 'the silent one has left the list');
  t.true(controller.leading);
});
