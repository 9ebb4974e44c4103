/** Aliases and exposure of Services, from what an operator applies to what agents read, on a real bus. */
import test, { type ExecutionContext } from 'ava';
import type { Condition } from '../../src/controller/compile/condition.ts';
import { compareRevisions } from '../../src/protocol/revision.ts';
import { until } from '../kit/mesh.ts';
import { type ControlPlane, type FakeAgent, startControlPlane } from './control-plane.ts';

const service = (name: string, spec: object) => ({
  apiVersion: 'weft.dev/v1',
  kind: 'Service',
  metadata: { name },
  spec,
});

/** No lease ends here, however busy the machine is. */
const PATIENT = { leaseMs: 60_000, leaseTrustMs: 50_000, agentLeaseMs: 60_000 };

/** Waits until the published snapshot of a name says that it is an alias of `service`, or of nothing. */
const leads = (plane: ControlPlane, name: string, service: string | undefined) =>
  until(async () => {
    const snapshot = await plane.snapshot(name);
    return snapshot !== undefined && snapshot.aliasOf === service && snapshot;
  }, `${name} leads to ${service}`);

/** A control plane that leads and knows of `orders.default`. */
async function started(t: ExecutionContext): Promise<ControlPlane & { app: FakeAgent }> {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add(PATIENT);
  await until(() => controller.leading, 'it leads');
  const app = plane.agent('app-1', ['orders.default']);
  app.keepBeating();
  await until(async () => (await plane.endpoints('orders.default'))?.endpoints.length === 1, 'it is known');
  return { ...plane, app };
}

async function conditionsOf(plane: ControlPlane, name: string): Promise<Record<string, Condition>> {
  const { items } = await plane.done('get', { kind: 'Service', name });
  const { conditions = [] } = (items[0]?.status ?? {}) as { conditions?: Condition[] };
  return Object.fromEntries(conditions.map((one) => [one.type, one]));
}

test('aliases are published, and taken back with a newer revision', async (t) => {
  const plane = await started(t);
  const aliases = ['store', 'buy.example.com'];
  await plane.done('apply', { resources: [service('orders', { aliases, exposure: 'namespace' })] });
  for (const name of ['store.default', 'buy.example.com']) {
    await leads(plane, name, 'orders.default');
  }
  t.is((await plane.snapshot('orders.default'))?.exposure, 'namespace');
  const { items } = await plane.done('services', {});
  t.deepEqual(
    items.map((one) => one.service),
    ['orders.default'],
    'an alias is no service',
  );
  const { Programmed, Conflicted } = await conditionsOf(plane, 'orders');
  t.is(Programmed?.message, '0 of 1 agents have applied it', 'who serves it has not said that it has');
  t.is(Conflicted, undefined);

  const before = await leads(plane, 'buy.example.com', 'orders.default');
  await plane.done('apply', { resources: [service('orders', { aliases: ['store'] })] });
  const after = await leads(plane, 'buy.example.com', undefined);
  t.true(compareRevisions(after.revision, before.revision) > 0);
  await leads(plane, 'store.default', 'orders.default');
  t.is((await plane.snapshot('orders.default'))?.exposure, undefined);

  await plane.done('delete', { names: [{ kind: 'Service', namespace: 'default', name: 'orders' }] });
  await leads(plane, 'store.default', undefined);
});

test('a service that comes to have the name of an alias has it, and status says so', async (t) => {
  const plane = await started(t);
  await plane.done('apply', { resources: [service('orders', { aliases: ['store'] })] });
  await leads(plane, 'store.default', 'orders.default');
  plane.agent('app-2', ['store.default']).keepBeating();
  await leads(plane, 'store.default', undefined);
  const { Conflicted } = await conditionsOf(plane, 'orders');
  t.deepEqual([Conflicted?.status, Conflicted?.reason], ['True', 'AliasTaken']);
  t.regex(Conflicted?.message ?? '', /agents serve store\.default/);
  const answer = await plane.call('apply', { resources: [service('users', { aliases: ['store'] })] });
  t.regex(JSON.stringify(answer), /does not lead to store\.default|not an alias of orders\.default/);
  t.false(answer.ok);
});

test('a Service is Programmed when agents have its aliases too', async (t) => {
  const plane = await started(t);
  await plane.done('apply', { resources: [service('orders', { aliases: ['buy.example.com'] })] });
  const { revision } = await leads(plane, 'buy.example.com', 'orders.default');
  const own = (await plane.snapshot('orders.default'))!.revision;
  const caller = plane.agent('web-1', []);
  caller.keepBeating();
  const programmed = async () => (await conditionsOf(plane, 'orders')).Programmed;
  caller.beat({ applied: { 'buy.example.com': [revision[0], revision[1] - 1] } });
  const behind = await until(async () => {
    const said = await programmed();
    return said?.message.endsWith('of 2 agents have applied it') && said;
  }, 'the agent counts');
  t.deepEqual([behind.reason, behind.message], ['Pending', '0 of 2 agents have applied it']);
  plane.app.beat({ applied: { 'orders.default': own } });
  caller.beat({ applied: { 'buy.example.com': revision } });
  await until(async () => (await programmed())?.message === '2 of 2 agents have applied it', 'both have it');
  t.is((await programmed())?.status, 'True');
});
