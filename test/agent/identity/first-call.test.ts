/** The first request to a service comes before anything is known of it: it waits for that, and is not refused. */
import test from 'ava';
import { ORDERS, startEnrolledMesh } from '../../kit/enrolled-mesh.ts';
import { ask } from '../../kit/mesh.ts';

for (const method of ['GET', 'POST']) {
  test(`a first ${method} is served by an endpoint that is listed; if none is, only what is safe to repeat is`, async (t) => {
    const mesh = await startEnrolledMesh(t);
    const body = method === 'POST' ? 'x'.repeat(300_000) : '';
    const answer = await ask(mesh.front.door, 'orders', '/', { method }, body);
    t.deepEqual([answer.status, answer.body.toString()], [200, 'served']);
    const other = await startEnrolledMesh(t);
    await other.granter.publishList(ORDERS, []);
    const unlisted = await ask(other.front.door, 'orders', '/', { method }, body);
    if (method === 'GET') t.is(unlisted.status, 200);
    else {
      t.deepEqual([unlisted.status, JSON.parse(unlisted.body.toString()).code], [503, 'no_endpoint']);
      t.is(other.requests(), 0);
    }
  });
}

test('a service of which no key is published is said to have none', async (t) => {
  const mesh = await startEnrolledMesh(t);
  const answer = await ask(mesh.front.door, 'nobody');
  t.is(answer.status, 503);
  t.regex(answer.body.toString(), /no key of nobody\.default is published/);
});
