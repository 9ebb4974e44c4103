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
