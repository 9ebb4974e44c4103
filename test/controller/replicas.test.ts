/** In a cluster the buckets live on three servers, however they came to be. */
import { jetstreamManager } from '@nats-io/jetstream';
import test, { type ExecutionContext } from 'ava';
import { openBuckets, raiseReplicas } from '../../src/controller/buckets.ts';
import { configBucket, identityBucket, policyBucket, stateBucket } from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { startNatsCluster } from '../kit/nats-cluster.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';

const STREAMS = [policyBucket, configBucket, stateBucket, identityBucket].map(
  (bucket) => `KV_${bucket(MESH)}`,
);

async function startCluster(t: ExecutionContext, servers = 3) {
  const plane = await startControlPlane(t, await startNatsCluster(servers));
  const { streams } = await jetstreamManager(plane.client);
  return {
    ...plane,
    /** Every bucket has this many, as the bus says. */
    async have(replicas: number) {
      const infos = await Promise.all(STREAMS.map((stream) => streams.info(stream)));
      return infos.every(({ config }) => config.num_replicas === replicas);
    },
    async lower() {
      for (const stream of STREAMS) {
        const { config } = await streams.info(stream);
        await streams.update(stream, { ...config, num_replicas: 1 });
      }
    },
  };
}

test('in a cluster of three the buckets have three replicas; those that have fewer get them, and keep what they hold', async (t) => {
  const plane = await startCluster(t);
  await openBuckets(plane.client, MESH);
  t.true(await plane.have(3), 'from the beginning');
  // As they are if they were made before the cluster had all its servers.
  await plane.lower();
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  await until(() => plane.have(3), 'they have three');
  await plane.lower();
  await until(() => plane.have(3), 'they have three again');
  t.is((await plane.done('get', {})).items.length, 1);
  const buckets = await until(async () => {
    const { checks } = await plane.done('check', {});
    const found = checks.filter(({ name }) => name.startsWith('JetStream bucket'));
    return found.every(({ result }) => result === 'ok') ? found : undefined;
  }, 'check is content');
  t.is(buckets.length, 4);
  for (const { message } of buckets) t.regex(message, /^3 replicas/);
});

test('a cluster too small for three has buckets with one, which bear the attempt to raise them', async (t) => {
  const plane = await startCluster(t, 2);
  await openBuckets(plane.client, MESH);
  t.deepEqual(await raiseReplicas(plane.client, MESH), []);
  t.true(await plane.have(1));
});
