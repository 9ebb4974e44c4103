import { readFileSync } from 'node:fs';
import test from 'ava';
import { compileService } from '../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';
import { type ForwardPlan, planRequest } from '../../src/protocol/routes/plan.ts';
import { createRouteTable } from '../../src/protocol/routes/route-table.ts';
import { audits, request, said, snapshotOf } from '../protocol/authorization/policies.ts';

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
    if (plan === undefined || plan.answer !== undefined || plan.auth !== undefined)
      throw new Error('an example answered by itself');
    return plan;
  });
}

const share = (all: readonly ForwardPlan[], backend: string) =>
  all.filter((plan) => plan.backend === `${backend}.default`).length / all.length;

test('the page has the examples that operators look for', (t) => {
  t.deepEqual(
    [...examples.keys()],
    ['Readers', 'Closed', 'Public', 'Watch', 'Signed', 'Canary', 'Blue', 'By', 'Mirror'],
  );
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

/** `ALLOW default/orders readers` by an example alone; and the AUDIT policies that match. */
function decided(
  example: string,
  caller: string | null,
  line: string,
  lines: Record<string, string> = {},
): string {
  const snapshot = snapshotOf([examples.get(example) ?? '']);
  const asked = request(line, lines, caller);
  return [said(snapshot, asked), ...audits(snapshot, asked).map(({ policy }) => policy)].join(', ');
}

test('the readers of the page read orders, the office does everything, and nobody else anything', (t) => {
  t.is(decided('Readers', 'checkout.default', 'GET /orders/7'), 'ALLOW default/orders readers');
  t.is(decided('Readers', 'web.office', 'DELETE /orders/7'), 'ALLOW default/orders office');
  for (const [caller, line] of [
    ['checkout.default', 'DELETE /orders/7'],
    ['checkout.default', 'GET /orders/7/items'],
    ['checkout.prod', 'GET /orders'],
    [null, 'GET /orders'],
  ] as const) {
    t.is(decided('Readers', caller, line), 'DENY mesh no-allow-matches');
  }
});

test('what the page closes is open to its namespace only', (t) => {
  for (const caller of ['checkout.default', null]) {
    for (const path of ['/admin', '/admin/', '/admin/x', '//admin', '/x/../%61dmin']) {
      t.is(decided('Closed', caller, `GET ${path}`), 'DENY ops/no-admin 0');
    }
  }
  t.is(decided('Closed', 'root.ops', 'GET /admin'), 'ALLOW mesh default-allow');
  t.is(decided('Closed', 'checkout.default', 'GET /orders'), 'ALLOW mesh default-allow');
});

test('the public of the page sees the catalogue and nothing else', (t) => {
  for (const caller of ['checkout.default', null]) {
    t.is(decided('Public', caller, 'GET /catalogue/1'), 'ALLOW default/catalogue 0');
    t.is(decided('Public', caller, 'GET /orders'), 'DENY mesh no-allow-matches');
  }
});

test('the watch of the page tells of what was not approved, and lets everything pass', (t) => {
  const allowed = 'ALLOW mesh default-allow';
  t.is(decided('Watch', 'checkout.default', 'DELETE /x'), `${allowed}, default/watch-deletes`);
  t.is(decided('Watch', 'checkout.default', 'DELETE /x', { 'x-approved': 'yes' }), allowed);
  t.is(decided('Watch', 'checkout.default', 'GET /x'), allowed);
});
