import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import { Balancer } from '../../../src/agent/outbound/balancer.ts';
import type { PeerIdentity } from '../../../src/protocol/introduction.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';

const { publicKey } = generateKeyPairSync('x25519');
const ORDERS = 'orders.default';
const endpoint = (agent: string): PeerIdentity => ({
  agent,
  publicKey,
  signingKey: publicKey,
  issuer: '',
  issuedAtMs: 0,
  workloads: new Set([ORDERS]),
  expiresAtMs: Number.MAX_SAFE_INTEGER,
});
const SELF = endpoint('self');

function create(serving: string[] = []) {
  const clock = { nowMs: 1_000 };
  const balancer = new Balancer(SELF, new Set(serving), () => clock.nowMs);
  const picks = (count: number, repeatable: boolean) =>
    Array.from({ length: count }, () => balancer.pick(ORDERS, repeatable)?.agent ?? 'bus');
  return { clock, balancer, picks };
}

test('while nothing is known the bus picks', (t) => {
  t.deepEqual(create().picks(3, false), ['bus', 'bus', 'bus']);
});

test('what is safe to repeat is always left to the bus', (t) => {
  const { balancer, picks } = create();
  balancer.learned(ORDERS, endpoint('a'));
  t.deepEqual(picks(5, true), ['bus', 'bus', 'bus', 'bus', 'bus']);
});

test('what is not safe to repeat goes to the known ones in turn', (t) => {
  const { balancer, picks } = create();
  picks(1, false);
  for (const name of ['a', 'b', 'c']) balancer.learned(ORDERS, endpoint(name));
  t.deepEqual(picks(6, false).sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
});

test('now and then the bus picks although some are known, so that new ones are found', (t) => {
  const { clock, balancer, picks } = create();
  picks(1, false);
  balancer.learned(ORDERS, endpoint('a'));
  t.deepEqual(picks(2, false), ['a', 'a']);
  clock.nowMs += LIMITS.exploreMs;
  t.deepEqual(picks(2, false), ['bus', 'a']);
});

test('an endpoint that is forgotten is asked no more; with none left the bus picks', (t) => {
  const { balancer, picks } = create();
  picks(1, false);
  for (const name of ['a', 'b']) balancer.learned(ORDERS, endpoint(name));
  balancer.forget(ORDERS, 'a');
  balancer.forget(ORDERS, 'never heard of');
  t.deepEqual(picks(2, false), ['b', 'b']);
  balancer.forget(ORDERS, 'b');
  t.deepEqual(picks(1, false), ['bus']);
});

test('without a list what is served here stays here, and costs no request to find out who else serves', (t) => {
  const { clock, balancer, picks } = create([ORDERS]);
  t.deepEqual(picks(2, false), ['self', 'self']);
  balancer.learned(ORDERS, endpoint('a'));
  clock.nowMs += LIMITS.exploreMs;
  t.deepEqual([...picks(2, false), ...picks(2, true)], ['self', 'self', 'self', 'self']);
  t.is(balancer.pickOther(ORDERS, true, SELF), undefined, 'the bus knows who else is there');
  t.is(balancer.spread(ORDERS), 2);
});

test('a renewed identity takes the place of the one before', (t) => {
  const { balancer, picks } = create();
  picks(1, false);
  const renewed = endpoint('a');
  balancer.learned(ORDERS, endpoint('a'));
  balancer.learned(ORDERS, renewed);
  t.is(balancer.spread(ORDERS), 1);
  t.is(balancer.pick(ORDERS, false), renewed);
});

test('an agent does not learn of itself, nor more endpoints than the limit', (t) => {
  const { balancer } = create();
  balancer.learned(ORDERS, endpoint('self'));
  t.is(balancer.spread(ORDERS), 1);
  for (let count = 0; count < LIMITS.endpointsMax + 5; count++)
    balancer.learned(ORDERS, endpoint(`a${count}`));
  t.is(balancer.spread(ORDERS), LIMITS.endpointsMax);
});
