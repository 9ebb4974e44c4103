/** What is sealed for any endpoint of a service, and so signed, in the traffic of enrolled agents. */
import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { serviceSubject } from '../../../src/protocol/subjects.ts';
import { ORDERS, startEnrolledMesh } from '../../kit/enrolled-mesh.ts';
import { MESH, until } from '../../kit/mesh.ts';

test('nothing is sealed for a service while a listed endpoint can be asked; without one each request is, and is served', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const wire = await connect({ servers: mesh.nats.url });
  t.teardown(() => wire.close());
  let packets = 0;
  wire.subscribe(serviceSubject(MESH, ORDERS), {
    callback: () => {
      packets += 1;
    },
  });
  await wire.flush();
  const call = async (method?: string) => {
    t.is(await mesh.call(method), '200 served');
    await wire.flush();
    return packets;
  };
  for (let count = 0; count < 10; count++) await call(count % 2 === 0 ? 'GET' : 'POST');
  t.is(packets, 0);
  await mesh.granter.publishList(ORDERS, []);
  await until(async () => (await call()) > 0, 'nobody is listed');
  const before = packets;
  for (let count = 0; count < 10; count++) await call();
  t.is(packets - before, 10);
});
