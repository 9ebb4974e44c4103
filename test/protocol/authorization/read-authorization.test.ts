import test from 'ava';
import { isAuthorization } from '../../../src/protocol/authorization/read-authorization.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { policy, snapshotOf } from './policies.ts';

const good = () => {
  const rule = {
    name: 'r',
    from: [
      {
        services: ['a.default'],
        principals: ['anonymous', '*/sa/x', 'spiffe://shop/ns/*'],
        notNamespaces: ['prod'],
      },
    ],
    to: [
      {
        methods: ['GET'],
        paths: ['/a/{id}', '/b/*'],
        ports: [80],
        headers: [{ name: 'x-a', values: ['1'] }],
      },
    ],
    when: [{ header: 'x-b', notValues: ['2'] }],
  };
  const { authorization } = snapshotOf([policy('p', 'ALLOW', [rule])], 'deny');
  return JSON.parse(JSON.stringify(authorization));
};

test('what the controller compiles is taken', (t) => {
  t.true(isAuthorization(good()));
});

for (const [what, change] of [
  ['another default', (all) => Object.assign(all, { defaultAction: 'maybe' })],
  ['no policies', (all) => delete all.policies],
  ['an unknown field', (all) => Object.assign(all.policies[0], { unless: [] })],
  ['an unknown action', (all) => Object.assign(all.policies[0], { action: 'LOG' })],
  ['a policy without a revision', (all) => delete all.policies[0].revision],
  ['a name that could break a line', (all) => Object.assign(all.policies[0], { policy: 'a/b\nc' })],
  ['a rule without a name', (all) => delete all.policies[0].rules[0].name],
  ['an unknown part of a rule', (all) => Object.assign(all.policies[0].rules[0], { not: [] })],
  [
    'an unknown part of from',
    (all) => Object.assign(all.policies[0].rules[0].from[0], { ips: ['10.0.0.1'] }),
  ],
  [
    'a principal with * in its middle',
    (all) => all.policies[0].rules[0].from[0].principals.push('spiffe://a/*/b'),
  ],
  ['a service that is none', (all) => all.policies[0].rules[0].from[0].services.push('a')],
  ['a path that no request has', (all) => all.policies[0].rules[0].to[0].paths.push('/a/../b')],
  ['a path that is none', (all) => all.policies[0].rules[0].to[0].paths.push('a')],
  ['a path that is no text', (all) => all.policies[0].rules[0].to[0].paths.push(7)],
  ['a header in capitals', (all) => Object.assign(all.policies[0].rules[0].when[0], { name: 'X-B' })],
  ['a port that is none', (all) => all.policies[0].rules[0].to[0].ports.push(0)],
  [
    'too long a list',
    (all) => all.policies[0].rules[0].to[0].ports.push(...Array(LIMITS.policyListMax).fill(80)),
  ],
  ['too many policies', (all) => all.policies.push(...Array(LIMITS.policiesMax).fill(all.policies[0]))],
] as const satisfies readonly (readonly [string, (all: ReturnType<typeof good>) => unknown])[]) {
  test(`${what} is refused`, (t) => {
    const changed = good();
    change(changed);
    t.false(isAuthorization(changed));
  });
}
