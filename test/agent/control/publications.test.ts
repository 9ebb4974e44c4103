/** What replaces what an agent holds, and what does not. */
import test from 'ava';
import { Publications } from '../../../src/agent/control/publications.ts';
import type { SnapshotDisk } from '../../../src/agent/control/snapshot-disk.ts';
import type { Bus, Deliver, Reply } from '../../../src/agent/link/bus.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { readSnapshot } from '../../../src/protocol/read-snapshot.ts';
import { NO_REVISION, type Revision } from '../../../src/protocol/revision.ts';
import { createRoot } from '../../../src/protocol/root.ts';
import type { Snapshot } from '../../../src/protocol/snapshot.ts';
import { publicationGetSubject, publicationSubject } from '../../../src/protocol/subjects.ts';
import { MESH } from '../../kit/mesh.ts';
import { sealed, snapshotOf } from '../../kit/publisher.ts';
import { createRootKeyring } from '../../kit/root-keyring.ts';

const { seed } = createRoot();
const ORDERS = 'orders.default';
const keyring = createRootKeyring({ rootSeed: seed, mesh: MESH, agent: 'a', workloads: [], now: Date.now });
const snapshot = (revision: Revision, service = ORDERS) => snapshotOf(service, revision, 'away.example');
const text = (revision: Revision) => sealed(seed, 'snapshot', snapshot(revision));
const found = (of: string): Reply => ({ payload: Buffer.from(of), status: 0 });
const NONE: Reply = { payload: Buffer.alloc(0), status: 404 };

/** Everything that has been promised has happened. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

function create(kept: readonly string[] = [], disk?: SnapshotDisk) {
  const clock = { nowMs: 0, floor: NO_REVISION };
  const refused: string[] = [];
  const changes: string[] = [];
  const heard = new Map<string, Deliver>();
  const asked: string[] = [];
  const bus: Bus & { up: boolean; answer: (subject: string) => Promise<Reply> } = {
    up: true,
    payloadBytesMax: 1024 * 1024,
    answer: () => Promise.resolve(NONE),
    publish() {},
    subscribe(subject, _queue, deliver) {
      heard.set(subject, deliver);
      return () => heard.delete(subject);
    },
    request(subject) {
      asked.push(subject);
      return bus.answer(subject);
    },
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const publications = new Publications<Snapshot>({
    kind: 'snapshot',
    keyring,
    read: readSnapshot,
    disk,
    kept: new Set(kept),
    floor: () => clock.floor,
    now: () => clock.nowMs,
    random: () => 0.5,
    refused: (reason) => refused.push(reason),
    fault: (error) => refused.push(`fault ${(error as Error).message}`),
  });
  publications.watch((service, before) => {
    changes.push(`${service} ${before?.revision ?? 'none'} → ${publications.get(service)?.revision}`);
  });
  const publish = (message: string, service = ORDERS) => {
    const subject = publicationSubject(MESH, 'snapshot', service);
    heard.get(subject)?.(Buffer.from(message), subject, false);
  };
  return { clock, refused, changes, heard, asked, bus, publications, publish };
}

test('D1 a newer publication replaces the one that is held, and it is said', async (t) => {
  const { publications, bus, publish, changes, refused } = create();
  bus.answer = () => Promise.resolve(found(text([1, 4])));
  publications.attach(bus);
  publications.want(ORDERS);
  t.false(publications.known(ORDERS));
  await settled();
  t.true(publications.known(ORDERS));
  publish(text([1, 5]));
  publish(text([1, 5]));
  publish(text([2, 1]));
  t.deepEqual(publications.get(ORDERS), snapshot([2, 1]));
  t.deepEqual(changes, ['orders.default none → 1,4', 'orders.default 1,4 → 1,5', 'orders.default 1,5 → 2,1']);
  t.deepEqual(refused, []);
});

test('D1 D2 whatever else arrives is refused, counted by its reason, and changes nothing', async (t) => {
  const { publications, bus, publish, changes, refused } = create();
  publications.attach(bus);
  publications.want(ORDERS);
  await settled();
  publish(text([1, 5]));
  const good = publications.get(ORDERS);
  const newer = snapshot([1, 6]);
  const bad: [reason: string, message: string][] = [
    ['deleted', ''],
    ['signature', 'garbage'],
    ['signature', 'ÿ\u0000'],
    ['signature', sealed(createRoot().seed, 'snapshot', newer)],
    ['signature', sealed(seed, 'endpoints', newer)],
    ['signature', `${text([1, 6])} `],
    ['signature', sealed(seed, 'snapshot', { ...newer, more: 'x'.repeat(LIMITS.publicationBytesMax) })],
    ['service', sealed(seed, 'snapshot', snapshot([1, 6], 'other.default'))],
    ['service', sealed(seed, 'snapshot', { ...newer, mesh: 'other' })],
    ['shape', sealed(seed, 'snapshot', { ...newer, version: 2 })],
    ['shape', sealed(seed, 'snapshot', { ...newer, producer: {} })],
    ['revision', text([1, 4])],
    ['revision', text([0, 9])],
  ];
  for (const [, message] of bad) publish(message);
  t.deepEqual(
    refused,
    bad.map(([reason]) => reason),
  );
  t.is(publications.get(ORDERS), good);
  t.is(changes.length, 1);
});

test('D2 what follows from a policy store that holds nothing yet takes nothing back from one that was lost', async (t) => {
  const { publications, bus, publish, refused } = create();
  publications.attach(bus);
  publications.want(ORDERS);
  await settled();
  const of = (revision: Revision, policy: Revision) => ({ ...snapshot(revision), policy });
  publish(sealed(seed, 'snapshot', of([1, 5], [1, 0])));
  publish(sealed(seed, 'snapshot', of([1, 6], [1, 3])));
  publish(sealed(seed, 'snapshot', of([2, 1], [2, 0])));
  t.deepEqual(publications.get(ORDERS)?.revision, [1, 6]);
  publish(sealed(seed, 'snapshot', of([2, 2], [2, 1])));
  t.deepEqual(publications.get(ORDERS)?.revision, [2, 2]);
  t.deepEqual(refused, ['blank']);
});

test('a fault of who makes use of a publication is said, and stops nothing', async (t) => {
  const { publications, bus, publish, refused } = create();
  publications.attach(bus);
  publications.want(ORDERS);
  await settled();
  publications.watch(() => {
    throw new Error('of ours');
  });
  t.notThrows(() => publish(text([1, 5])));
  t.deepEqual(refused, ['fault of ours']);
});

test('D2 what is missing when it is asked for, or cannot be asked for, takes nothing away', async (t) => {
  const { publications, bus, publish, clock, asked, refused } = create();
  publications.attach(bus);
  publications.want(ORDERS);
  await settled();
  publish(text([1, 5]));
  for (const answer of [
    () => Promise.resolve(NONE),
    () => Promise.resolve(found('')),
    () => Promise.resolve({ payload: Buffer.alloc(0), status: 408 }),
    () => Promise.reject(new Error('no responders')),
  ]) {
    bus.answer = answer;
    clock.nowMs += LIMITS.publicationRefreshMs;
    publications.tick(clock.nowMs);
    await settled();
  }
  t.is(asked.length, 5);
  t.deepEqual(publications.get(ORDERS)?.revision, [1, 5]);
  t.deepEqual(refused, ['deleted']);
});

test('what is held is compared with what is published now and then, and after the bus was away', async (t) => {
  const { publications, bus, clock, asked, changes } = create();
  publications.attach(bus);
  publications.want(ORDERS);
  await settled();
  bus.answer = () => Promise.resolve(found(text([1, 5])));
  publications.tick(clock.nowMs);
  await settled();
  t.is(asked.length, 1);
  clock.nowMs += LIMITS.publicationRefreshMs;
  publications.tick(clock.nowMs);
  await settled();
  t.deepEqual(changes, ['orders.default none → 1,5']);
  bus.answer = () => Promise.resolve(found(text([1, 6])));
  publications.refresh();
  await settled();
  t.deepEqual(changes.at(-1), 'orders.default 1,5 → 1,6');
  t.deepEqual([...new Set(asked)], [publicationGetSubject(MESH, 'snapshot', ORDERS)]);
});

test('who does not answer is asked again soon, then ever less often', async (t) => {
  const { publications, bus, clock, asked } = create();
  bus.answer = () => Promise.reject(new Error('timeout'));
  publications.attach(bus);
  publications.want(ORDERS);
  const askedAt: number[] = [];
  for (let second = 0; second < 70; second++) {
    await settled();
    if (asked.length > askedAt.length) askedAt.push(second);
    clock.nowMs += 1_000;
    publications.tick(clock.nowMs);
  }
  t.deepEqual(askedAt, [0, 1, 3, 7, 15, 31, 61]);
  t.true(publications.known(ORDERS), 'nobody knows more than that nothing can be known');
});

test('D3 what is not wanted is neither heard nor asked for; what is dropped is not heard any more', async (t) => {
  const { publications, bus, heard, asked } = create(['kept.default']);
  publications.attach(bus);
  publications.want(ORDERS);
  publications.want(ORDERS);
  await settled();
  t.is(asked.length, 2);
  t.is(heard.size, 2);
  publications.drop(ORDERS);
  publications.drop('kept.default');
  t.deepEqual([...heard.keys()], [publicationSubject(MESH, 'snapshot', 'kept.default')]);
  t.false(publications.known(ORDERS));
});

test('what was wanted and never used is forgotten, and there is a limit to what can be wanted', async (t) => {
  const { publications, bus, clock, heard } = create(['kept.default']);
  publications.attach(bus);
  publications.want('used.default');
  publications.get('used.default');
  for (let number = 0; number < LIMITS.servicesKnownMax; number++) publications.want(`s${number}.default`);
  t.is(heard.size, LIMITS.servicesKnownMax);
  t.true(heard.has(publicationSubject(MESH, 'snapshot', 'used.default')));
  clock.nowMs += LIMITS.snapshotIdleMs;
  publications.tick(clock.nowMs);
  t.deepEqual(
    [...heard.keys()],
    [
      publicationSubject(MESH, 'snapshot', 'kept.default'),
      publicationSubject(MESH, 'snapshot', 'used.default'),
    ],
  );
  await settled();
});

test('so many are asked for at the same time and no more, and all are in the end', async (t) => {
  const { publications, bus, asked } = create();
  publications.attach(bus);
  const gates: (() => void)[] = [];
  bus.answer = () => new Promise((resolve) => gates.push(() => resolve(NONE)));
  const count = 3 * LIMITS.publicationGetsMax;
  for (let number = 0; number < count; number++) publications.want(`s${number}.default`);
  t.is(asked.length, LIMITS.publicationGetsMax);
  while (gates.length > 0) {
    t.true(gates.length <= LIMITS.publicationGetsMax);
    gates.shift()?.();
    await settled();
  }
  t.is(new Set(asked).size, count);
});

/** A disk that has `kept`, and says what it is given. */
function fakeDisk(kept: string | undefined) {
  const written: string[] = [];
  const disk: SnapshotDisk = {
    read: () => Promise.resolve(kept),
    write: (_kind, _service, message) => written.push(message),
    settled: () => Promise.resolve(),
  };
  return { disk, written };
}

test('without the bus what is on disk is what there is; it is not written back', async (t) => {
  const { disk, written } = fakeDisk(text([1, 5]));
  const { publications } = create([ORDERS], disk);
  t.false(publications.known(ORDERS));
  await settled();
  t.true(publications.known(ORDERS));
  t.deepEqual(publications.get(ORDERS)?.revision, [1, 5]);
  t.deepEqual(written, []);
});

test('with the bus there what is on disk is not certain until the bus has answered; the newer one counts', async (t) => {
  const { disk, written } = fakeDisk(text([1, 5]));
  const { publications, bus, publish, refused } = create([ORDERS], disk);
  const answer = Promise.withResolvers<Reply>();
  bus.answer = () => answer.promise;
  publications.attach(bus);
  await settled();
  t.false(publications.known(ORDERS));
  t.deepEqual(publications.get(ORDERS)?.revision, [1, 5]);
  answer.resolve(found(text([1, 4])));
  await settled();
  t.true(publications.known(ORDERS));
  t.deepEqual(publications.get(ORDERS)?.revision, [1, 5]);
  t.deepEqual(refused, ['revision']);
  publish(text([1, 6]));
  t.deepEqual(written, [text([1, 6])]);
});

test('what is corrupt on disk is refused like what comes from the bus', async (t) => {
  for (const [reason, kept] of [
    ['signature', text([1, 5]).slice(0, -4)],
    ['service', sealed(seed, 'snapshot', snapshot([1, 5], 'other.default'))],
  ] as const) {
    const { publications, refused } = create([ORDERS], fakeDisk(kept).disk);
    await settled();
    t.deepEqual(refused, [reason]);
    t.is(publications.get(ORDERS), undefined);
    t.true(publications.known(ORDERS));
  }
});
