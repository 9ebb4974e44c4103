/** Whoever can read and write the bus can at most deny service: nothing that is recorded can be used again. */
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { createRoot } from '../../src/protocol/root.ts';
import { intrude } from '../kit/intruder.ts';
import { ask, startApplication, startMesh, type TestAgent, until } from '../kit/mesh.ts';
import { Ear } from '../link/pair.ts';

const ORDERS = 'orders.default';

async function refusals(agent: TestAgent): Promise<Record<string, number>> {
  const metric = await agent.agent.registry.getSingleMetric('weft_packets_refused_total')?.get();
  return Object.fromEntries(metric?.values.map(({ labels, value }) => [labels.reason, value]) ?? []);
}

const total = async (agent: TestAgent) =>
  Object.values(await refusals(agent)).reduce((sum, count) => sum + count, 0);

/** A mesh whose bus is recorded, after a few requests; `requests` counts what the application has been asked. */
async function recorded(t: ExecutionContext) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const seen = { requests: 0 };
  const orders = await startApplication((incoming, response) => {
    seen.requests += 1;
    incoming.resume().on('end', () => response.end('ok'));
  });
  t.teardown(orders.stop);
  const back = await mesh.add('back', [{ service: ORDERS, ports: [orders.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  const wire = await connect({ servers: mesh.nats.url });
  t.teardown(() => wire.close());
  const packets: { subject: string; reply: string | undefined; data: Uint8Array }[] = [];
  const recording = wire.subscribe('weft.>', {
    callback(_error, { subject, reply, data }) {
      packets.push({ subject, reply, data: data.slice() });
    },
  });
  await wire.flush();
  for (const method of ['GET', 'POST', 'PUT', 'POST', 'DELETE', 'POST']) {
    t.is((await ask(front.door, 'orders', '/', { method }, method === 'GET' ? '' : 'body')).status, 200);
  }
  recording.unsubscribe();
  return { mesh, back, front, wire, packets: packets.filter(isPacket), seen };
}

/** Heartbeats are recorded too; agents do not take them, so nobody refuses them. */
function isPacket({ subject, data }: { readonly subject: string; readonly data: Uint8Array }): boolean {
  return data.length > 0 && !subject.includes('.obs.');
}

test('a recorded packet is taken by nobody a second time', async (t) => {
  const { back, front, wire, packets, seen } = await recorded(t);
  const { requests } = seen;
  for (const { subject, reply, data } of packets) {
    wire.publish(subject, data, reply === undefined ? {} : { reply });
  }
  await wire.flush();
  await until(async () => (await total(back)) + (await total(front)) >= packets.length, 'all are refused');
  t.deepEqual(Object.keys({ ...(await refusals(back)), ...(await refusals(front)) }), ['replay']);
  t.is(seen.requests, requests);
  t.is((await ask(front.door, 'orders', '/', { method: 'POST' }, 'body')).status, 200);
});

test('a recorded packet is of no use at another subject', async (t) => {
  const { back, front, wire, packets, seen } = await recorded(t);
  const { requests } = seen;
  const subjects = new Set(packets.map(({ subject }) => subject));
  let sent = 0;
  for (const { subject, data } of packets) {
    for (const other of subjects) {
      if (other === subject) continue;
      wire.publish(other, data);
      sent += 1;
    }
  }
  await wire.flush();
  await until(async () => (await total(back)) + (await total(front)) >= sent, 'all are refused');
  t.is(seen.requests, requests);
});

test('a packet that was changed or cut anywhere is refused, and the agents go on', async (t) => {
  const { back, front, wire, packets, seen } = await recorded(t);
  const { requests } = seen;
  let sent = 0;
  for (const { subject, data } of packets) {
    for (let at = 0; at < data.length; at += 7) {
      const flipped = data.slice();
      flipped[at]! ^= 1 << (at % 8);
      wire.publish(subject, flipped);
      wire.publish(subject, data.slice(0, at));
      sent += 2;
    }
    wire.publish(subject, Buffer.concat([data, data]));
    sent += 1;
  }
  await wire.flush();
  // An empty message is the bus's own word; it is not counted as a packet.
  const empty = packets.length;
  await until(async () => (await total(back)) + (await total(front)) >= sent - empty, 'all are refused');
  t.is(seen.requests, requests);
  t.is((await ask(front.door, 'orders', '/', { method: 'POST' }, 'body')).status, 200);
});

test('why packets were refused is said in a few words', async (t) => {
  const { back, front, wire, packets } = await recorded(t);
  for (const { subject, data } of packets) {
    for (let at = 0; at < data.length; at += 3) {
      const flipped = data.slice();
      flipped[at]! ^= 0x80;
      wire.publish(subject, flipped);
    }
  }
  await wire.flush();
  await until(async () => (await total(back)) > 0 && (await total(front)) > 0, 'they are refused');
  for (const reason of Object.keys({ ...(await refusals(back)), ...(await refusals(front)) })) {
    t.regex(reason, /^[a-z][a-z ]{2,20}$/);
  }
});

const HEAD = `POST / ${ORDERS} checkout.default 15000\r\n`;

test('an agent that names a caller it may not speak for is denied, and the application not asked', async (t) => {
  const { mesh, seen } = await recorded(t);
  const { requests } = seen;
  const link = await intrude(t, mesh.nats.url, mesh.seed, ['thief.default']);
  const ear = new Ear();
  link.openToService(ORDERS, HEAD, true, ear, 1);
  await until(() => ear.heard.length > 0, 'an answer');
  t.deepEqual(ear.heard, ['reset denied']);
  t.is(seen.requests, requests);
});

test('an agent of another root reaches nobody', async (t) => {
  const { mesh, back, seen } = await recorded(t);
  const { requests } = seen;
  const link = await intrude(t, mesh.nats.url, createRoot().seed, ['checkout.default']);
  const ear = new Ear();
  link.openToService(ORDERS, HEAD, true, ear, 1);
  await until(async () => (await total(back)) > 0, 'it is refused');
  t.deepEqual(ear.heard, []);
  t.is(seen.requests, requests);
});
