/** Which endpoint is picked while the control plane says who serves. */
import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import { Balancer } from '../../../src/agent/outbound/balancer.ts';
import type { Endpoint, EndpointList } from '../../../src/protocol/endpoint-list.ts';
import type { PeerIdentity } from '../../../src/protocol/introduction.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';

const { publicKey } = generateKeyPairSync('x25519');
const ORDERS = 'orders.default';
const SELF: PeerIdentity = {
  agent: 'self',
  publicKey,
  signingKey: publicKey,
  issuer: '',
  issuedAtMs: 0,
  workloads: new Set([ORDERS]),
  expiresAtMs: 9e15,
};

/** A document of a test: `agent#process`, `?` before it if it is no good, `!` if it is not entitled. */
function create(serving: string[] = []) {
  const clock = { nowMs: 0 };
  const identities = new Map<string, PeerIdentity>();
  const wanted: string[] = [];
  const dropped: string[] = [];
  let list: EndpointList | undefined;
  const serves = new Set(serving);
  const balancer = new Balancer(SELF, serves, () => clock.nowMs, {
    want: (service) => wanted.push(service),
    get: () => list,
    drop: (service) => dropped.push(service),
    identify(document) {
      if (document.startsWith('?')) return undefined;
      const known = identities.get(document);
      const agent = document.replace('!', '').split('#')[0] ?? '';
      const workloads = new Set(document.startsWith('!') ? ['other.default'] : [ORDERS]);
      const identity = known ?? { ...SELF, agent, workloads };
      identities.set(document, identity);
      return identity;
    },
  });
  const publish = (...endpoints: (string | Partial<Endpoint>)[]) => {
    const whole = endpoints.map((one) => {
      const { document = '', ...rest } = typeof one === 'string' ? { document: one } : one;
      const agent = document.replace(/[?!]/, '').split('#')[0] ?? '';
      return { agent, document, state: 'ready' as const, labels: {}, ...rest };
    });
    list = { version: 1, mesh: 'test', service: ORDERS, revision: [1, 1], endpoints: whole };
    balancer.published(ORDERS);
  };
  const picks = (count: number, repeatable = true) =>
    Array.from({ length: count }, () => balancer.pick(ORDERS, repeatable)?.agent ?? 'bus');
  return { balancer, publish, picks, clock, wanted, dropped, serves };
}

test('without a list all is as it was, and the list is asked for once', (t) => {
  const { picks, wanted } = create();
  t.deepEqual(picks(3), ['bus', 'bus', 'bus']);
  t.deepEqual(wanted, [ORDERS]);
});

test('with a list its ready endpoints are asked in turn, whatever the method, and the bus never', (t) => {
  const { picks, publish, clock, balancer } = create();
  publish('a#1', 'b#1', { document: 'c#1', state: 'unhealthy' }, { document: 'd#1', state: 'draining' });
  for (let round = 0; round < 3; round++) {
    t.deepEqual(picks(4).sort(), ['a', 'a', 'b', 'b']);
    t.deepEqual(picks(4, false).sort(), ['a', 'a', 'b', 'b']);
    clock.nowMs += LIMITS.exploreMs;
  }
  t.is(balancer.spread(ORDERS), 2);
  balancer.learned(ORDERS, { ...SELF, agent: 'z' });
  t.deepEqual(picks(2).sort(), ['a', 'b']);
});

test('this agent takes its turn if it serves, whatever the list has of it', (t) => {
  const { picks, publish, serves } = create([ORDERS]);
  publish('a#1', 'self#0');
  t.deepEqual(picks(4).sort(), ['a', 'a', 'self', 'self']);
  serves.clear();
  t.deepEqual(picks(2), ['a', 'a']);
});

test('a list without a ready endpoint leaves it to the bus', (t) => {
  const { picks, publish } = create();
  publish({ document: 'a#1', state: 'starting' });
  t.deepEqual(picks(2), ['bus', 'bus']);
  publish();
  t.deepEqual(picks(1), ['bus']);
});

test('an endpoint whose document is no good, or that is not entitled, is not asked', (t) => {
  const { picks, publish } = create();
  publish('?a#1', '!b#1', 'c#1');
  t.deepEqual(picks(3), ['c', 'c', 'c']);
});

test('one that was not there is passed over for a while, or until something new is known of it', (t) => {
  const { picks, publish, balancer, clock } = create();
  publish('a#1', 'b#1');
  t.deepEqual(picks(2).sort(), ['a', 'b']);
  balancer.forget(ORDERS, 'a');
  t.deepEqual(picks(3), ['b', 'b', 'b']);
  publish('a#1', 'b#1', 'c#1');
  t.deepEqual(picks(4).sort(), ['b', 'b', 'c', 'c'], 'the new list says of it what the old one did');
  publish('a#2', 'b#1');
  t.deepEqual(picks(2).sort(), ['a', 'b'], 'another process has its name');
  balancer.forget(ORDERS, 'a');
  publish({ document: 'a#2', state: 'unhealthy' }, 'b#1');
  publish('a#2', 'b#1');
  t.deepEqual(picks(2).sort(), ['a', 'b'], 'it has come back');
  balancer.forget(ORDERS, 'a');
  balancer.forget(ORDERS, 'b');
  t.deepEqual(picks(2), ['bus', 'bus'], 'the bus knows who is there');
  clock.nowMs += LIMITS.endpointMissingMs;
  t.deepEqual(picks(2).sort(), ['a', 'b']);
});

test('another try goes to another endpoint, if there is one', (t) => {
  const { publish, balancer } = create();
  publish('a#1', 'b#1');
  const first = balancer.pick(ORDERS, true);
  // Another request comes between.
  balancer.pick(ORDERS, true);
  t.not(balancer.pickOther(ORDERS, true, first)?.agent, first?.agent);
  publish('a#1');
  const only = balancer.pick(ORDERS, true);
  t.is(balancer.pickOther(ORDERS, true, only), only);
  t.is(balancer.pickOther('other.default', true, undefined), undefined);
});

test('a list of which nobody shows an identity that holds is about to be replaced; one without anybody is not', (t) => {
  const { publish, balancer } = create();
  const outdated = (...documents: string[]) => {
    publish(...documents);
    balancer.pick(ORDERS, true);
    return balancer.isOutdated(ORDERS);
  };
  t.true(outdated('?a#1', '?b#1'));
  t.false(outdated('?a#1', 'b#1'));
  t.false(outdated());
  t.false(balancer.isOutdated('other.default'));
});

test('what is not safe to repeat goes to listed endpoints alone, also to one that was missed if there is no other', (t) => {
  const { publish, balancer } = create();
  publish('a#1', 'b#1');
  balancer.pick(ORDERS, true);
  balancer.forget(ORDERS, 'a');
  t.is(balancer.pick(ORDERS, false)?.agent, 'b');
  balancer.forget(ORDERS, 'b');
  t.is(balancer.pick(ORDERS, true), undefined, 'the bus picks');
  const anyway = balancer.pick(ORDERS, false);
  t.truthy(anyway);
  t.not(balancer.pickOther(ORDERS, false, anyway)?.agent, anyway?.agent);
  publish();
  t.is(balancer.pick(ORDERS, true), undefined, 'the bus picks');
  t.is(balancer.pick(ORDERS, false), undefined, 'nobody is known');
});

test('a service that nobody has called for a while is forgotten, and so is the first of too many', (t) => {
  const { balancer, clock, dropped } = create();
  balancer.pick(ORDERS, true);
  clock.nowMs += LIMITS.snapshotIdleMs - 1;
  balancer.pick('other.default', true);
  balancer.expire(clock.nowMs + 1);
  t.deepEqual(dropped, [ORDERS]);
  for (let count = 0; count < LIMITS.servicesKnownMax; count++) balancer.pick(`s${count}.default`, true);
  t.deepEqual(dropped, [ORDERS, 'other.default']);
});
