/** Keys of services and of agents are replaced while they are in use. */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { readHeader } from '../../../src/protocol/packet.ts';
import { serviceSubject } from '../../../src/protocol/subjects.ts';
import { ORDERS, startEnrolledMesh } from '../../kit/enrolled-mesh.ts';
import { MESH, until } from '../../kit/mesh.ts';

test('a service key is replaced under traffic: callers change to it when it begins, and no request fails', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const { granter, nats, back } = mesh;
  // Nobody is listed, so that every request goes to the queue group, sealed for the service.
  await granter.publishList(ORDERS, []);
  const wire = await connect({ servers: nats.url });
  t.teardown(() => wire.close());
  const epochs: number[] = [];
  wire.subscribe(serviceSubject(MESH, ORDERS), {
    callback: (_error, { data }) => void epochs.push(readHeader(data).epoch),
  });
  await wire.flush();
  const answers = new Set<string>();
  const callUntil = async (seen: () => boolean) => {
    while (!seen()) answers.add(await mesh.call());
  };
  await callUntil(() => epochs.includes(1) && granter.asked.includes('renew back'));
  granter.nextKey(ORDERS, 5_000);
  await granter.publishList(ORDERS, []);
  await callUntil(() => granter.asked.filter((one) => one === 'renew back').length >= 2);
  t.false(epochs.includes(2), 'it has not begun');
  await callUntil(() => epochs.includes(2));
  await callUntil(() => epochs.slice(epochs.indexOf(2)).length >= 20);
  t.deepEqual(new Set(epochs.slice(epochs.indexOf(2))), new Set([2]));
  t.deepEqual([...answers], ['200 served']);
  t.true(back.agent.ready);
});

test('who has not got the present key of a service is not in its queue group, and is asked by name all the same', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const { granter, back, nats } = mesh;
  await until(() => granter.asked.includes('renew back'), 'it has what there is');
  granter.settings.away = true;
  granter.nextKey(ORDERS, 0);
  await granter.publishList(ORDERS, ['back']);
  await until(() => back.agent.waiting().some((one) => /present key is not here/.test(one)), 'it knows');
  const wire = await connect({ servers: nats.url });
  t.teardown(() => wire.close());
  const members = () =>
    wire.request(serviceSubject(MESH, ORDERS), new Uint8Array(), { timeout: 200 }).then(
      () => true,
      ({ message }: Error) => !/no responders/i.test(message),
    );
  await until(async () => !(await members()), 'it has left');
  t.is(await mesh.call(), '200 served');
  granter.settings.away = false;
  await until(members, 'it is back');
});

test('an agent that is told to makes new keys; nothing that runs ends, and its old ones are of no use', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const { granter, front, back } = mesh;
  const sent = request({ host: '127.0.0.1', port: front.door, path: '/hold', headers: { host: 'orders' } });
  t.teardown(() => sent.destroy());
  sent.on('error', () => {});
  sent.end();
  const [response] = await once(sent, 'response');
  let broken = false;
  response.on('error', () => {
    broken = true;
  });
  const wire = await connect({ servers: mesh.nats.url });
  t.teardown(() => wire.close());
  const shown = new Set<string | undefined>();
  wire.subscribe(`weft.${MESH}.rx.>`, {
    callback: (_error, { data }) => void shown.add(readHeader(data).document),
  });
  await wire.flush();
  const before = [front, back].map(({ membership }) => membership.keyring.keys.publicKey);
  const nowMs = Math.floor(Date.now() / 1000) * 1000 + 1000;
  const both = ['front', 'back'].map((agent) => ({ agent, beforeMs: nowMs }));
  await until(() => Date.now() > nowMs, 'identities are of a later second');
  await granter.publishTrust({ renew: both });
  await until(
    () => [front, back].every(({ membership }, at) => membership.keyring.keys.publicKey !== before[at]),
    'both have new keys',
  );
  await until(
    () => [front, back].every(({ membership }) => shown.has(membership.keyring.document)),
    'both have shown them to whom they have a stream with',
  );
  await granter.publishTrust({ revoked: both });
  await until(() => revisionOf(front) >= 2 && revisionOf(back) >= 2, 'both know');
  t.is(await mesh.call(), '200 served');
  t.is(await mesh.call('POST'), '200 served');
  t.true(front.agent.ready && back.agent.ready);
  t.false(broken);
  t.is(front.agent.counts().streamsOpened, 1);
});

function revisionOf({ agent }: { readonly agent: { publications(): unknown } }): number {
  const { trust } = agent.publications() as { trust: Record<string, readonly number[]> };
  return (trust['trust.weft']?.[1] ?? 0) - 1;
}
