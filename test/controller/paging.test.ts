import test from 'ava';
import { allItems } from '../../src/cli/pages.ts';
import { pageOf } from '../../src/controller/paging.ts';
import { until } from '../kit/mesh.ts';
import { route, startControlPlane } from './control-plane.ts';

/** So much work that a lease must bear it. */
const CALM = { leaseMs: 15_000, leaseTrustMs: 12_000 };

test('pages hold every item once, in order, and at least one each', (t) => {
  const listed = ['c', 'a', 'd', 'b', 'e'].map((key) => ({ key, make: () => key.repeat(10) }));
  const seen: string[][] = [];
  for (let after: string | undefined; ; ) {
    const { items, next } = pageOf(listed, after, 30);
    seen.push([...items]);
    if (next === undefined) break;
    after = next;
  }
  t.deepEqual(seen, [['aaaaaaaaaa', 'bbbbbbbbbb'], ['cccccccccc', 'dddddddddd'], ['eeeeeeeeee']]);
  t.deepEqual(pageOf(listed, undefined, 1), { items: ['aaaaaaaaaa'], next: 'a' });
  t.deepEqual(pageOf(listed, 'e', 1), { items: [] });
});

test.serial('seven thousand services are listed whole, and their endpoints', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add({ agentLeaseMs: 60_000, ...CALM });
  await until(() => controller.leading, 'it leads');
  for (let agent = 0; agent < 70; agent++) {
    const services = Array.from(
      { length: 100 },
      (_, at) => `service-${agent}-${at}-of-a-long-name.in-a-namespace-of-its-own-of-a-long-name`,
    );
    plane.agent(`app-${agent}`, services).keepBeating(5_000);
  }
  const api = { call: plane.done };
  const known = () => controller.metrics.registry.getSingleMetricAsString('weft_controller_services');
  await until(async () => (await known()).includes(' 7000'), 'all are known');
  const services = await allItems(api, 'services', {});
  t.is(new Set(services.map(({ service }) => service)).size, 7_000);
  const endpoints = await allItems(api, 'endpoints', {});
  t.is(endpoints.length, 7_000);
  t.true(JSON.stringify(endpoints).length > 1024 * 1024, 'more than one message holds');
});

test.serial('resources of more bytes than a message holds are got whole', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add(CALM);
  await until(() => controller.leading, 'it leads');
  const note = 'x'.repeat(3_000);
  for (let part = 0; part < 4; part++) {
    const resources = Array.from({ length: 150 }, (_, at) => {
      const one = route(`route-${part}-${at}`, 'orders.default', 'a', `/${part}/${at}`) as {
        metadata: object;
      };
      return { ...one, metadata: { ...one.metadata, annotations: { note } } };
    });
    await plane.done('apply', { resources });
  }
  const items = await allItems({ call: plane.done }, 'get', {});
  t.is(new Set(items.map(({ metadata }) => metadata.name)).size, 600);
  t.true(JSON.stringify(items).length > 1024 * 1024);
  const names = items.map(({ metadata }) => metadata.name);
  t.deepEqual(names, names.toSorted());
});

test('more resources than one call takes are refused, with how many it takes', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const resources = Array.from({ length: 1_001 }, (_, at) => ({ at }));
  const answer = await plane.call('apply', { resources });
  t.regex(answer.ok ? '' : answer.error.message, /a list of 1 to 1000 resources/);
});

test('pages that never come to an end are not followed', async (t) => {
  const call = (() => Promise.resolve({ items: [], next: 'same' })) as never;
  await t.throwsAsync(allItems({ call }, 'services', {}), { message: /do not come to an end/ });
});
