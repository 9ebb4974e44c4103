/** What was said once and recorded is of no use: publications, and packets of before a restart. */
import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { publicationKey, serviceSubject } from '../../../src/protocol/subjects.ts';
import { ORDERS, startEnrolledMesh } from '../../kit/enrolled-mesh.ts';
import { MESH, until } from '../../kit/mesh.ts';
import { sealed, snapshotOf } from '../../kit/publisher.ts';

test('an old publication is not taken by a host that has just been enrolled, and it serves nobody until it has the present one', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const { granter, seed } = mesh;
  await granter.publisher.put('snapshot', ORDERS, sealed(seed, 'snapshot', snapshotOf(ORDERS, [1, 4])));
  granter.settings.revisions = { [publicationKey('snapshot', ORDERS)]: [1, 9] };
  const fresh = await mesh.serving('fresh');
  const snapshots = () => (fresh.agent.publications() as { snapshot: Record<string, number[]> }).snapshot;
  t.deepEqual(snapshots(), {});
  t.true(fresh.agent.waiting().some((one) => /published snapshot is not here/.test(one)));
  const metrics = await fresh.agent.registry.metrics();
  t.regex(metrics, /weft_publications_refused_total\{kind="snapshot",reason="revision"\} [1-9]/);
  await granter.publisher.put('snapshot', ORDERS, sealed(seed, 'snapshot', snapshotOf(ORDERS, [1, 9])));
  await until(() => snapshots()[ORDERS]?.[1] === 9, 'it has the present one');
  await until(() => fresh.agent.waiting().length === 0, 'it waits for nothing');
});

test('requests that were recorded before an agent started again are not carried out by it', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const { granter, nats } = mesh;
  await granter.publishList(ORDERS, []);
  const wire = await connect({ servers: nats.url });
  t.teardown(() => wire.close());
  const packets: { subject: string; data: Uint8Array }[] = [];
  const recording = wire.subscribe(serviceSubject(MESH, ORDERS), {
    callback: (_error, { subject, data }) => void packets.push({ subject, data: data.slice() }),
  });
  await wire.flush();
  for (let count = 0; count < 3; count++) t.is(await mesh.call(), '200 served');
  t.true(packets.length >= 1);
  recording.unsubscribe();
  await mesh.back.agent.stop();
  const again = await mesh.serving('back');
  const before = mesh.requests();
  for (const { subject, data } of packets) wire.publish(subject, data);
  const refused = async () => {
    const metric = await again.agent.registry.getSingleMetric('weft_packets_refused_total')?.get();
    const early = metric?.values.find(({ labels }) => labels.reason === 'early')?.value ?? 0;
    return early >= packets.length;
  };
  await until(refused, 'all are refused');
  t.is(mesh.requests(), before);
  t.is(await mesh.call(), '200 served');
});
