/** What controllers publish of AuthorizationPolicies, and what they say of them. */
import test from 'ava';
import type { ResourceDocument } from '../../src/protocol/api.ts';
import { until } from '../kit/mesh.ts';
import { route, startControlPlane } from './control-plane.ts';

const policy = (
  name: string,
  targetRef: object,
  rules: object[] = [{}],
  action = 'DENY',
  namespace = 'default',
) => ({
  apiVersion: 'weft.dev/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, namespace },
  spec: { targetRef, action, rules },
});
const orders = { kind: 'Service', name: 'orders' };
const mesh = { kind: 'Mesh' };

test('a policy travels in the snapshot of its service, with its revision, and goes with it', async (t) => {
  const plane = await startControlPlane(t);
  await plane.add();
  plane.agent('app-1', ['orders.default', 'users.default']).keepBeating();
  const applied = await plane.done('apply', { resources: [policy('p', orders)] });
  t.deepEqual(applied.warnings, []);
  t.deepEqual((await plane.snapshot('orders.default'))?.authorization, {
    defaultAction: 'allow',
    policies: [{ policy: 'default/p', revision: 1, action: 'DENY', rules: [{ name: '0' }] }],
  });
  t.is(await plane.snapshot('users.default'), undefined);
  await plane.done('apply', { resources: [policy('p', orders, [])] });
  t.is((await plane.snapshot('orders.default'))?.authorization?.policies[0]?.revision, 2);
  await plane.done('delete', { names: [{ kind: 'AuthorizationPolicy', namespace: 'default', name: 'p' }] });
  t.is((await plane.snapshot('orders.default'))?.authorization, undefined);
});

test('a policy about the mesh is in every snapshot, also of services that nothing else is said of', async (t) => {
  const plane = await startControlPlane(t);
  await plane.add();
  plane.agent('app-1', ['orders.default']).keepBeating();
  await until(async () => (await plane.endpoints('orders.default')) !== undefined, 'the agent is known');
  const { snapshots } = await plane.done('apply', {
    resources: [policy('m', mesh), route('r', 'front.default', 'orders')],
  });
  t.deepEqual(snapshots.map(({ service }) => service).sort(), ['front.default', 'orders.default']);
  for (const service of ['front.default', 'orders.default']) {
    t.is((await plane.snapshot(service))?.authorization?.policies[0]?.policy, 'default/m');
  }
  plane.agent('app-2', ['late.default']).keepBeating();
  await until(
    async () => (await plane.snapshot('late.default'))?.authorization !== undefined,
    'the late one has it',
  );
  await plane.done('delete', { names: [{ kind: 'AuthorizationPolicy', namespace: 'default', name: 'm' }] });
  t.is((await plane.snapshot('late.default'))?.authorization, undefined);
});

test('where the default is deny, every service that agents announce is told so, without a resource', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add({}, 'deny');
  plane.agent('app-1', ['orders.default']).keepBeating();
  const snapshot = await until(() => plane.snapshot('orders.default'), 'it is published');
  t.deepEqual(snapshot.authorization, { defaultAction: 'deny', policies: [] });
  const { checks } = await plane.done('check', {});
  t.like(
    checks.find(({ name }) => name === 'policy'),
    { result: 'ok' },
  );
  await controller.stop();
  await plane.add({}, 'allow');
  await until(
    async () => (await plane.snapshot('orders.default'))?.authorization === undefined,
    'the next one allows',
  );
  t.pass();
});

test('a policy is Programmed when the agents that hold its service have applied it', async (t) => {
  const plane = await startControlPlane(t);
  await plane.add();
  const agent = plane.agent('app-1', ['orders.default']);
  agent.keepBeating();
  await plane.done('apply', { resources: [policy('p', orders)] });
  const conditions = async () => {
    const { items } = await plane.done('get', { kind: 'AuthorizationPolicy' });
    const { status } = items[0] as ResourceDocument & {
      status: { conditions: { type: string; status: string }[] };
    };
    return status.conditions.map(({ type, status: is }) => `${type} ${is}`);
  };
  const { revision = [0, 0] } = (await plane.snapshot('orders.default')) ?? {};
  agent.beat({ applied: { 'orders.default': [revision[0], revision[1] - 1] } });
  await until(async () => (await conditions())[1] === 'Programmed False', 'it is pending');
  agent.beat({ applied: { 'orders.default': revision } });
  await until(async () => (await conditions())[1] === 'Programmed True', 'it is programmed');
  t.is((await conditions())[0], 'Accepted True');
});

test('resources are told as they stood at a revision, the deleted ones too', async (t) => {
  const plane = await startControlPlane(t);
  await plane.add();
  await plane.done('apply', { resources: [policy('p', orders), policy('q', orders)] });
  await plane.done('apply', { resources: [policy('p', orders, [])] });
  await plane.done('delete', { names: [{ kind: 'AuthorizationPolicy', namespace: 'default', name: 'q' }] });
  const at = async (revision: number) => {
    const { items } = await plane.done('get', { kind: 'AuthorizationPolicy', at: revision });
    return items.map(
      ({ metadata, spec }) => `${metadata.name} ${metadata.revision} ${(spec as { rules: [] }).rules.length}`,
    );
  };
  t.deepEqual(await at(1), ['p 1 1', 'q 1 1']);
  t.deepEqual(await at(2), ['p 2 0', 'q 1 1']);
  t.deepEqual(await at(3), ['p 2 0']);
  const late = await plane.call('get', { kind: 'AuthorizationPolicy', at: 4 });
  t.like(late, {
    ok: false,
    error: { code: 'not_found', message: 'there is no revision 4: the last one is 3' },
  });
});
