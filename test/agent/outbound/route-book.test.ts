import test from 'ava';
import { RouteBook } from '../../../src/agent/outbound/route-book.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import type { Snapshot } from '../../../src/protocol/snapshot.ts';
import { snapshotOf } from '../../kit/publisher.ts';

const ORDERS = 'orders.default';

function create() {
  const clock = { nowMs: 0 };
  const snapshots = new Map<string, Snapshot>();
  const wanted = new Set<string>();
  let changed: (service: string) => void = () => {};
  const book = new RouteBook(
    {
      want: (service) => void wanted.add(service),
      known: (service) => wanted.has(service),
      get: (service) => (wanted.has(service) ? snapshots.get(service) : undefined),
      drop: (service) => void wanted.delete(service),
      watch: (then) => {
        changed = then;
      },
    },
    () => clock.nowMs,
  );
  const routed = () => book.tableOf(ORDERS, 'default') !== undefined;
  return { book, clock, snapshots, wanted, routed, changed: (service: string) => changed(service) };
}

test('a service is asked for when it is first called', (t) => {
  const { book, wanted } = create();
  t.false(book.knows(ORDERS));
  t.deepEqual([...wanted], [ORDERS]);
  t.true(book.knows(ORDERS));
});

test('a request sees another snapshot as soon as there is one', (t) => {
  const { book, snapshots, routed, changed } = create();
  book.knows(ORDERS);
  t.false(routed());
  snapshots.set(ORDERS, snapshotOf(ORDERS, [1, 1], 'away.example'));
  changed(ORDERS);
  t.true(book.knows(ORDERS) && routed());
});

test('a service that is followed no more is asked for anew, and not served from what is left of it', (t) => {
  const { book, snapshots, wanted, routed, changed } = create();
  snapshots.set(ORDERS, snapshotOf(ORDERS, [1, 1], 'away.example'));
  book.knows(ORDERS);
  t.true(routed());
  wanted.delete(ORDERS);
  changed(ORDERS);
  t.false(book.knows(ORDERS));
  t.true(wanted.has(ORDERS));
});

test('what nobody has called for a while is dropped', (t) => {
  const { book, clock, wanted, routed } = create();
  book.knows(ORDERS);
  routed();
  clock.nowMs = LIMITS.snapshotIdleMs - 1;
  book.expire(clock.nowMs);
  t.true(wanted.has(ORDERS));
  clock.nowMs += 1;
  book.expire(clock.nowMs);
  t.false(wanted.has(ORDERS));
});

const STORE = 'store.default';
const alias = (name: string, aliasOf: string): Snapshot => ({ ...snapshotOf(name, [1, 1]), aliasOf });

test('a name that is not an alias stands for itself, and a host name for nothing', (t) => {
  const { book } = create();
  t.is(book.serviceOf(ORDERS), ORDERS);
  t.is(book.serviceOf('www.example.com'), undefined);
});

test('an alias is known when its service is known too, and stands for that', (t) => {
  const { book, snapshots, wanted } = create();
  snapshots.set(STORE, alias(STORE, ORDERS));
  t.false(book.knows(STORE));
  t.false(book.knows(STORE), 'the service behind it is asked for');
  t.deepEqual([...wanted], [STORE, ORDERS]);
  t.true(book.knows(STORE));
  t.is(book.serviceOf(STORE), ORDERS);
});

test('an alias of an alias leads one step', (t) => {
  const { book, snapshots } = create();
  snapshots.set(STORE, alias(STORE, ORDERS));
  snapshots.set(ORDERS, alias(ORDERS, STORE));
  while (!book.knows(STORE));
  t.is(book.serviceOf(STORE), ORDERS);
  t.is(book.tableOf(ORDERS, 'default'), undefined);
});

test('an alias that is taken away stands for nothing any more', (t) => {
  const { book, snapshots, changed } = create();
  const host = 'orders.example.com';
  snapshots.set(host, alias(host, ORDERS));
  while (!book.knows(host));
  t.is(book.serviceOf(host), ORDERS);
  snapshots.set(host, snapshotOf(host, [1, 2]));
  changed(host);
  t.is(book.serviceOf(host), undefined);
});

test('an alias that is called is not dropped', (t) => {
  const { book, clock, snapshots, wanted } = create();
  snapshots.set(STORE, alias(STORE, ORDERS));
  while (!book.knows(STORE));
  book.serviceOf(STORE);
  clock.nowMs = LIMITS.snapshotIdleMs - 1;
  book.serviceOf(STORE);
  clock.nowMs += LIMITS.snapshotIdleMs - 1;
  book.expire(clock.nowMs);
  t.true(wanted.has(STORE));
});

test('callers that a service is not exposed to are refused as far as that is known', (t) => {
  const { book, snapshots } = create();
  snapshots.set(ORDERS, { ...snapshotOf(ORDERS, [1, 1]), exposure: 'namespace' });
  t.is(book.refusal(ORDERS, 'shop'), undefined, 'nobody has asked for it');
  book.knows(ORDERS);
  book.tableOf(ORDERS, 'shop');
  t.truthy(book.refusal(ORDERS, 'shop'));
  t.is(book.refusal(ORDERS, 'default'), undefined);
});
