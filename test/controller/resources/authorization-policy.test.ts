import test from 'ava';
import { checkReferences } from '../../../src/controller/resources/references.ts';
import { fieldName } from '../../../src/protocol/config-fault.ts';
import { route, said, toService, valid } from './routes.ts';

const raw = (rules: object[], spec: object = {}) => ({
  apiVersion: 'weft.dev/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'p', namespace: 'default' },
  spec: { targetRef: { kind: 'Service', name: 'orders' }, action: 'DENY', rules, ...spec },
});

for (const [what, rule] of [
  [
    'principals',
    {
      from: [
        { principals: ['spiffe://shop/ns/prod/sa/*', '*/sa/web', '*', 'anonymous'], notPrincipals: ['*'] },
      ],
    },
  ],
  ['namespaces', { from: [{ namespaces: ['a'], notNamespaces: ['b'], services: ['x', 'x.y'] }] }],
  [
    'requests',
    {
      to: [
        {
          methods: ['GET'],
          notMethods: ['PUT'],
          paths: ['/o/{id}', '/p/*', '/q'],
          notPaths: ['/p/x'],
          ports: [80],
        },
      ],
    },
  ],
  [
    'headers',
    { to: [{ headers: [{ name: 'X-A', values: ['1'] }, { name: 'x-b', present: false }, { name: 'x-c' }] }] },
  ],
  ['conditions', { name: 'a.b', when: [{ header: 'x-a', values: ['1'], notValues: ['2'] }] }],
] as const) {
  test(`a rule with ${what} is taken`, (t) => {
    t.deepEqual(said(raw([rule])), []);
  });
}

for (const [what, rule, expected] of [
  [
    'a principal with * in its middle',
    { from: [{ principals: ['spiffe://a/*/b'] }] },
    /principals\[0\]: .*expected a SPIFFE ID/,
  ],
  ['a principal that is no ID', { from: [{ principals: ['checkout'] }] }, /expected a SPIFFE ID/],
  ['an empty from', { from: [{}] }, /from\[0\]/],
  [
    'a path with braces around a part',
    { to: [{ paths: ['/v{n}'] }] },
    /paths\[0\]: .*braces around a name and a whole segment/,
  ],
  [
    'a path that requests never have',
    { to: [{ notPaths: ['/a', '/a/../b'] }] },
    /notPaths\[1\]: .*in its normal form/,
  ],
  [
    'a header that must be there and must not',
    { to: [{ headers: [{ name: 'a', values: ['1'], present: true }] }] },
    /headers\[0\]/,
  ],
  ['an unknown field', { to: [{ path: ['/a'] }] }, /paths \(is that what was meant\?\)/],
  ['a name without a letter', { name: '7' }, /a name with a letter/],
] as const) {
  test(`${what} is refused`, (t) => {
    t.regex(said(raw([rule])).join('\n'), expected);
  });
}

test('two rules of one name, and a mesh with a name, are refused', (t) => {
  t.regex(said(raw([{ name: 'a' }, { name: 'a' }])).join(), /rules\[1\]\.name: .*each name once/);
  t.regex(
    said(raw([], { targetRef: { kind: 'Mesh', name: 'shop' } })).join(),
    /targetRef\.name: .*whole mesh/,
  );
});

const KNOWN = new Set(['orders.default', 'checkout.default']);
function warnings(rules: object[], spec: object = {}, others: ReturnType<typeof route>[] = []): string[] {
  const policy = valid(raw(rules, spec));
  const all = new Map(others.map((one, at) => [String(at), one]));
  return checkReferences([policy], all, KNOWN, 'shop').warnings.map(
    ({ path, message }) => `${fieldName(path)}: ${message}`,
  );
}

for (const [what, rule, expected] of [
  [
    'a principal of another mesh',
    { from: [{ principals: ['spiffe://shp/ns/prod/sa/*'] }] },
    /principals\[0\]: it fits nobody/,
  ],
  [
    'a principal that is no workload',
    { from: [{ principals: ['spiffe://shop/agent/web-1'] }] },
    /it fits nobody/,
  ],
  [
    'a service that is not there',
    { from: [{ services: ['chekout'] }] },
    /chekout\.default is not known yet \(is checkout\.default meant\?\)/,
  ],
  [
    'methods that are left out again',
    { to: [{ methods: ['GET'], notMethods: ['GET', 'PUT'] }] },
    /methods: it never matches/,
  ],
  ['paths that are left out again', { to: [{ paths: ['/a'], notPaths: ['/a'] }] }, /paths: it never matches/],
  ['what a DENY leaves open', { to: [{ paths: ['/admin/*'] }] }, /paths\[0\]: \/admin itself is not denied/],
] as const) {
  test(`${what} is a warning`, (t) => {
    t.regex(warnings([rule]).join('\n'), expected);
  });
}

test('what is usual is no warning', (t) => {
  const from = [
    {
      services: ['checkout'],
      principals: ['spiffe://shop/ns/prod/sa/*', 'spiffe://shop/ns/a*', 'spiffe://shop/*', 'anonymous'],
    },
  ];
  t.deepEqual(warnings([{ from, to: [{ paths: ['/admin', '/admin/*', '/*'] }] }]), []);
  t.deepEqual(warnings([{ to: [{ paths: ['/admin/*'] }] }], { action: 'ALLOW' }), []);
});

test('a policy without rules, and one about a service whose routes lead elsewhere, are warnings', (t) => {
  t.regex(warnings([]).join(), /spec\.rules: without a rule it never matches/);
  t.regex(warnings([], { action: 'ALLOW' }).join(), /it allows nothing/);
  const away = route({
    parentRefs: [toService('orders')],
    rules: [{ backendRefs: [{ name: 'v1', port: 80 }] }],
  });
  t.regex(
    warnings([{}], {}, [away]).join(),
    /sends requests for orders\.default to v1\.default, for which this policy does not hold/,
  );
});
