import { readFileSync } from 'node:fs';
import test from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import { type ForwardPlan, planRequest } from '../../src/protocol/routes/plan.ts';
import { createRouteTable } from '../../src/protocol/routes/route-table.ts';

const page = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8');
const KNOWN = new Set(['orders.default', 'orders-v1.default', 'orders-v2.default']);
const DRAWS = 1_000;

/** The examples of the page as they stand there, by the first word of the text before each. */
const examples = new Map<string, string>();
for (const [, before = '', yaml = ''] of page.matchAll(
  /\n\n([^\n]+(?:\n[^\n]+)*)\n\n```yaml\n([\s\S]*?)```/g,
)) {
  examples.set(before.split(/[\s:]/, 1)[0] ?? '', yaml);
}

/** What `DRAWS` equal requests, spread evenly over all chances, are planned to be by an example. */
function plans(example: string, fields: string[] = []): ForwardPlan[] {
  const { resources, faults } = readResources(examples.get(example) ?? '', 'policy.md');
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  const index = createCompileIndex(resources.map(({ resource }) => resource));
  const identity = { mesh: 'shop', epoch: 1, revision: 1 };
  const table = createRouteTable(compileService('orders.default', index, KNOWN, identity).producer);
  const request = { method: 'GET', target: '/v1/x?y', hostname: 'orders', port: 80, fields };
  return Array.from({ length: DRAWS }, (_, at) => {
    const plan = planRequest(table, request, () => (at + 0.5) / DRAWS);
    if (plan === undefined || plan.answer !== undefined) throw new Error('an example answered by itself');
    return plan;
  });
}

const share = (all: readonly ForwardPlan[], backend: string) =>
  all.filter((plan) => plan.backend === `${backend}.default`).length / all.length;

test('the page has the examples that operators look for', (t) => {
  t.deepEqual([...examples.keys()], ['Canary', 'Blue', 'By', 'Mirror']);
});

test('the canary of the page sends one request in ten to the new version', (t) => {
  t.is(share(plans('Canary'), 'orders-v2'), 0.1);
  t.is(share(plans('Canary'), 'orders-v1'), 0.9);
});

test('blue-green of the page sends everything to green', (t) => {
  t.is(share(plans('Blue'), 'orders-v2'), 1);
});

test('the header of the page leads testers, and nobody else, to the new version', (t) => {
  const testers = plans('By', ['x-tester', 'yes']);
  t.is(share(testers, 'orders-v2'), 1);
  t.deepEqual(testers[0]?.fields, ['x-tester', 'yes', 'x-version', 'v2']);
  t.is(share(plans('By', ['x-tester', 'no']), 'orders-v1'), 1);
  t.is(share(plans('By'), 'orders-v1'), 1);
});

test('the mirror of the page copies every second request and changes none', (t) => {
  const all = plans('Mirror');
  t.is(share(all, 'orders-v1'), 1);
  t.is(all.filter(({ mirrors }) => mirrors.includes('orders-v2.default')).length, DRAWS / 2);
});
