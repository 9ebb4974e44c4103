import test from 'ava';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { openDocument, signingKey } from '../../src/protocol/signed-document.ts';
import { readTrustList } from '../../src/protocol/trust-list.ts';
import { until } from '../kit/mesh.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';
import { enrol } from './host.ts';

const BYTES_MAX = 1024 * 1024;

test('another root takes the place of the present one: agents follow step by step, and nothing is lost', async (t) => {
  const plane = await startControlPlane(t);
  const first = plane.seed;
  const second = createRoot().seed;
  const signer = { key: signingKey(readRoot(second)) };
  const publicOf = (seed: string) => readRoot(seed).publicKey;
  const lead = async (present: string, other?: string) => {
    const { controller } = await plane.add({}, 'allow', {
      present,
      ...(other === undefined ? {} : { other }),
    });
    await until(() => controller.leading, 'it leads');
    return controller;
  };
  const rootsNow = async (agent: Awaited<ReturnType<typeof enrol>>, wanted: readonly string[]) => {
    const list = await until(async () => {
      const text = (await plane.trust()) ?? '';
      const read = readTrustList(MESH, agent.keyring.open('weft-trust', text, BYTES_MAX));
      return read?.roots.join() === wanted.join() && read;
    }, `agents are told of ${wanted.length} roots`);
    agent.keyring.trust(list);
  };

  const one = await lead(first);
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });
  const agent = await enrol(plane, 'app-1', ['orders.default']);
  const before = agent.granted.keys[0]!.epoch;
  await one.stop();

  const two = await lead(first, second);
  await rootsNow(agent, [publicOf(first), publicOf(second)]);
  await two.stop();

  const three = await lead(second, first);
  await rootsNow(agent, [publicOf(second), publicOf(first)]);
  await until(
    async () => (await agent.renew()).keys.some(({ epoch }) => epoch > before),
    'its keys are of the next root',
  );
  t.is(agent.keyring.identity.issuer, publicOf(second));
  await three.stop();

  await lead(second);
  await rootsNow(agent, [publicOf(second)]);
  const { items } = await plane.done('get', {}, signer);
  t.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['orders'],
  );
  await agent.renew();
  const snapshot = await until(async () => {
    const { snapshot: text } = await plane.done('snapshot', { service: 'orders.default' }, signer);
    const keys = verificationKey(publicOf(second));
    return text !== null && openDocument(keys, 'weft-snapshot', text, BYTES_MAX);
  }, 'what is published is signed by the next root');
  t.is(snapshot.service, 'orders.default');
  const { checks } = await plane.done('check', {}, signer);
  t.deepEqual(
    checks.filter(({ name, result }) => ['policy', 'writers', 'enrolment'].includes(name) && result !== 'ok'),
    [],
  );
});
