/** Whoever has full rights on the bus and its buckets can delay and deny; not read, not repeat, not change, not decide. */
import { headers } from '@nats-io/nats-core';
import test, { type ExecutionContext } from 'ava';
import { connectBus } from '../../src/agent/link/bus.ts';
import { Link } from '../../src/agent/link/link.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../../src/protocol/revision.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { configBucket, publicationKey, serviceSubject } from '../../src/protocol/subjects.ts';
import { TRUST_NAME } from '../../src/protocol/trust-list.ts';
import { MESH } from '../controller/control-plane.ts';
import { randomFrom } from '../fuzz/random.ts';
import type { EnrolledAgent } from '../kit/enrolled-agent.ts';
import { until } from '../kit/mesh.ts';
import { listOf, sealed, snapshotOf } from '../kit/publisher.ts';
import { secretsIn } from '../kit/secrets.ts';
import { Ear } from '../link/pair.ts';
import {
  type Answer,
  type AttackedMesh,
  apply,
  CHECKOUT,
  declared,
  ORDERS,
  onlyOrders,
  retried,
  startAttackedMesh,
} from './attacked-mesh.ts';
import {
  type BusAttacker,
  CHANGES,
  isPacket,
  type Recorded,
  startBusAttacker,
  strangeHeaders,
} from './bus-attacker.ts';

const SERVICES = ['orders', 'stock'];
const SEED = 20_261_125;
/** A large body is many packets; of these some are enough. */
const LARGE_BYTES = 200_000;
/** Packets that are said on every subject, each. */
const MOVED_MAX = 60;
/** Requests that the attacker takes out of the queue group before it leaves. */
const STOLEN = 3;

const failures = (answers: readonly Answer[]) =>
  answers.filter(({ status }) => status !== 200).map(({ status, by }) => `${status} ${by}`);

/** Requests of both kinds to both services, small and large. */
async function traffic(mesh: AttackedMesh, rounds: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let round = 0; round < rounds; round++) {
    const all = ['orders', 'orders', 'stock'].flatMap((service) => [
      mesh.call(service, 'GET'),
      mesh.call(service, 'POST', 100 + round),
    ]);
    answers.push(
      ...(await Promise.all([...all, mesh.call('orders', 'POST', round === 0 ? LARGE_BYTES : 3_000)])),
    );
  }
  return answers;
}

/** Of what is sealed for a service the other endpoint may take the first copy; a stream with that number may be open there. */
const ALREADY_HERE = ['replay', 'stream'];

const isOnly = (counts: Readonly<Record<string, number>>, reasons: readonly string[]) =>
  Object.keys(counts).every((reason) => reasons.includes(reason));

const bytesOf = ({ records }: BusAttacker) => Buffer.concat(records.map(({ data }) => data));

function shuffled<T>(items: readonly T[], random: (below: number) => number): T[] {
  const all = [...items];
  for (let at = all.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [all[at], all[other]] = [all[other] as T, all[at] as T];
  }
  return all;
}

test.serial(
  'what is recorded on the bus says nothing, and is of no use to anybody, in whatever form it is said again',
  async (t) => {
    t.timeout(60_000);
    const random = randomFrom(SEED);
    const mesh = await startAttackedMesh(t);
    const { plane } = mesh;
    await apply(plane, declared('orders'), onlyOrders('orders'), onlyOrders('stock'), retried('orders'));
    // The caller knows the keys of both services, and of nobody who serves them: the bus picks.
    const servers = ['app-1', 'app-2'];
    for (const host of servers) await mesh.startAgent(host);
    for (const service of SERVICES) {
      await until(async () => (await mesh.call(service, 'GET')).status === 200, 'it is listed');
    }
    for (const host of servers) await mesh.agentOf(host).agent.stop();
    await until(() => mesh.isListed(), 'nobody is listed');
    await mesh.stopController();
    for (const host of servers) await mesh.restart(host);
    // From now on the bus never says that nobody is there.
    const attacker = await startBusAttacker(t, plane.nats.url);
    for (let time = 0; time < 5; time++) {
      const calls = await Promise.all(SERVICES.map((service) => mesh.call(service, 'GET')));
      t.deepEqual(failures(calls), []);
    }
    const sealedForService = attacker.records.filter(({ subject }) => subject.includes('.svc.'));
    t.true(sealedForService.length > 0);

    // A member of the queue group that answers nothing.
    const before = attacker.records.length;
    const theft = attacker.steal(serviceSubject(MESH, ORDERS), STOLEN);
    const meanwhile: Promise<Answer>[] = [];
    const stolen = await until(async () => {
      meanwhile.push(mesh.call('orders', 'GET'));
      await meanwhile.at(-(STOLEN + 1));
      return Promise.race([theft, undefined]);
    }, 'it has some');
    t.deepEqual(failures(await Promise.all(meanwhile)), [], 'they were late, and have come');
    t.deepEqual(secretsIn(Buffer.concat([...stolen]), mesh.secrets()), []);
    // What nobody has taken yet is not recorded but delayed: it may still come.
    const records = attacker.records.toSpliced(before, Number.POSITIVE_INFINITY);

    await mesh.startController();
    await until(() => mesh.isListed(...servers), 'all are listed');
    const ofLists = attacker.records.length;
    const both = async () => new Set((await traffic(mesh, 1)).map(({ by }) => by)).size === 3;
    await until(both, 'all are asked');
    const next = attacker.steal(serviceSubject(MESH, ORDERS), 1);
    attacker.mirror(true);
    t.deepEqual(failures(await traffic(mesh, 5)), [], 'each packet is said twice at once');
    attacker.mirror(false);
    t.is(await Promise.race([next, 'nothing']), 'nothing', 'who is listed is asked by name');
    records.push(...attacker.records.slice(ofLists));
    const packets = records.filter(isPacket);
    const kinds = new Set(packets.map(({ subject }) => subject.split('.')[2]));
    t.deepEqual([...kinds].sort(), ['ins', 'rx', 'svc']);
    t.deepEqual(secretsIn(bytesOf(attacker), mesh.secrets()), []);

    const hosts = ['web', 'app-1', 'app-2'];
    /** What has been sent has been read when all have answered once more. */
    const settled = async () => {
      await attacker.flush();
      t.deepEqual(failures(await traffic(mesh, 2)), []);
    };
    const counts = async () => {
      const total: Record<string, number> = {};
      for (const host of hosts) {
        for (const [reason, count] of Object.entries(await mesh.refusals(host))) {
          total[reason] = (total[reason] ?? 0) + count;
        }
      }
      return total;
    };
    const rise = async (send: () => void) => {
      const earlier = await counts();
      send();
      await settled();
      const later = Object.entries(await counts()).map(
        ([reason, count]) => [reason, count - (earlier[reason] ?? 0)] as const,
      );
      return Object.fromEntries(later.filter(([, count]) => count > 0));
    };
    const again = ({ subject, data, reply }: Recorded) => attacker.publish(subject, data, reply);
    const toOne = packets.filter(({ subject }) => !subject.includes('.svc.'));

    const repeated = await rise(() =>
      records.filter(({ subject }) => !subject.startsWith('$KV.')).forEach(again),
    );
    t.true((repeated.replay ?? 0) >= toOne.length);
    t.true(isOnly(repeated, ALREADY_HERE), JSON.stringify(repeated));

    const inDisorder = await rise(() => shuffled(packets, random).forEach(again));
    t.true(isOnly(inDisorder, ALREADY_HERE), JSON.stringify(inDisorder));

    const subjects = [...new Set(records.map(({ subject }) => subject))].filter((one) =>
      one.startsWith('weft.'),
    );
    const small = shuffled(
      packets.filter(({ data }) => data.length < 8_192),
      random,
    ).slice(0, MOVED_MAX);
    const moved = await rise(() => {
      for (const { subject, data, reply } of small) {
        for (const other of subjects) if (other !== subject) attacker.publish(other, data, reply);
      }
    });
    t.true((moved.seal ?? 0) > 0 && (moved.audience ?? 0) > 0, JSON.stringify(moved));
    t.false('replay' in moved, 'no other subject than its own opens it');

    const reasons = new Set<string>();
    for (const [name, change] of CHANGES) {
      const changed = await rise(() => {
        for (const packet of small) {
          const other = small[random(small.length)] as Recorded;
          attacker.publish(packet.subject, change(packet, other, random), packet.reply);
        }
      });
      for (const reason of Object.keys(changed)) reasons.add(reason);
      t.not(Object.keys(changed).length, 0, `${name} is refused`);
    }

    t.deepEqual([...reasons].sort(), [
      'age',
      'audience',
      'header',
      'identity',
      'replay',
      'seal',
      'sender',
      'stranger',
    ]);

    const underHeaders = await rise(() => {
      for (const head of strangeHeaders()) {
        for (const { subject, data, reply } of small) {
          attacker.publish(subject, data, reply, head);
          attacker.publish(subject, new Uint8Array(), reply, head);
          if (reply !== undefined) attacker.publish(reply, new Uint8Array(), undefined, head);
        }
      }
    });
    t.deepEqual(Object.keys(underHeaders).sort(), ['header', 'replay']);

    await mesh.restart('app-1');
    await until(() => mesh.isListed(...servers), 'it is listed again');
    const afterRestart = await rise(() => {
      packets.forEach(again);
      // The bus picks who of the two gets them.
      for (let time = 0; time < 20; time++) sealedForService.forEach(again);
    });
    t.deepEqual(Object.keys(afterRestart).sort(), ['early', 'replay']);
    await until(both, 'all are asked');

    mesh.checkHarm();
    for (const host of hosts) {
      const { agent, log } = mesh.agentOf(host);
      t.true(agent.ready);
      t.deepEqual(
        log.filter(({ level }) => Number(level) >= 50),
        [],
      );
    }
  },
);

/** What the controller has written under a key, oldest first. */
function writesOf(records: readonly Recorded[]): Map<string, readonly Buffer[]> {
  const writes = new Map<string, Buffer[]>();
  for (const { subject, data } of records) {
    // Marks of deletion are empty; the lease is attacked by itself.
    if (!subject.startsWith('$KV.') || subject.endsWith('.leader') || data.length === 0) continue;
    writes.set(subject, [...(writes.get(subject) ?? []), data]);
  }
  return writes;
}

/** Asks orders for `path` as the agent of `web` would if it did not refuse anything itself. */
async function startTwin(t: ExecutionContext, mesh: AttackedMesh) {
  const bus = await connectBus({ servers: mesh.plane.nats.url }, { lost() {}, back() {} });
  t.teardown(() => bus.close());
  const link = new Link({
    keyring: mesh.web.membership.keyring,
    wallMs: Date.now,
    now: () => performance.now(),
    serve: () => new Ear(),
    events: { fault() {}, refused() {}, served() {}, missing() {}, proven() {} },
  });
  link.attach(bus);
  return async (path: string) => {
    const ear = new Ear();
    link.openToService(ORDERS, `GET /${path}/x ${ORDERS} ${CHECKOUT} 15000\r\n`, true, ear, 1);
    return until(() => ear.heard[0]?.split(' ').slice(0, 2).join(' '), 'an answer');
  };
}

test.serial(
  'whoever writes into the buckets has no agent act on it, and the controller goes on',
  async (t) => {
    t.timeout(60_000);
    const random = randomFrom(SEED);
    const mesh = await startAttackedMesh(t);
    const { plane, web } = mesh;
    const attacker = await startBusAttacker(t, plane.nats.url);
    // Old publications: everything is allowed, app-1 alone serves, and by another key.
    await apply(plane, declared('orders'));
    await mesh.startAgent('app-1');
    await until(async () => (await mesh.call('orders', 'GET', 0, 'admin')).status === 200, 'it is served');
    await apply(plane, onlyOrders('orders'), onlyOrders('stock'));
    await mesh.startAgent('app-2');
    await until(async () => (await mesh.call('stock', 'GET')).status === 200, 'it is served');
    const epochOf = () => web.membership.keyring.serviceKey(ORDERS)?.epoch;
    const firstEpoch = epochOf();
    await plane.done('rotate', { what: 'service', service: ORDERS });
    await until(() => epochOf() !== firstEpoch, 'its key is another one');
    await plane.done('rotate', { what: 'agent', agent: 'app-1' });
    await until(() => revisionsOf(web)['trust.weft'] !== undefined, 'there is a trust list');
    await until(() => mesh.isListed('app-1', 'app-2'), 'all are listed');
    await until(async () => (await mesh.call('orders', 'GET', 0, 'admin')).by === 'denied', 'policy holds');
    const canServe = (host: string) => mesh.agentOf(host).membership.keyring.canServe(ORDERS);
    await until(() => ['app-1', 'app-2'].every(canServe), 'who serves has that key');
    const twin = await startTwin(t, mesh);
    t.is(await twin('admin'), 'reset denied');
    t.regex(await twin('orders'), /^response/);

    /** Everything that was seen while the buckets were written to. */
    const outcomes = new Set<string>();
    let over = false;
    const load = (async () => {
      while (!over) {
        const [allowed, denied] = await Promise.all([
          mesh.call('orders', 'POST', 50),
          mesh.call('orders', 'GET', 0, 'admin'),
        ]);
        outcomes.add(`allowed ${allowed.status} ${allowed.by}`).add(`denied ${denied.status} ${denied.by}`);
        outcomes.add(`by the one that serves: ${await twin('admin')}`);
      }
    })();
    const steady = [
      'allowed 200 app-1',
      'allowed 200 app-2',
      'by the one that serves: reset denied',
      'denied 403 denied',
    ];
    const before = { ...(await stateOf(mesh)), revisions: revisionsOf(web) };
    const writes = writesOf(attacker.records);
    t.deepEqual(secretsIn(bytesOf(attacker), mesh.secrets()), []);
    const keys = [...writes.keys()];
    t.deepEqual(
      [...new Set(keys.map((key) => key.split('.')[1]))].sort(),
      ['config', 'identity', 'policy', 'state'].map((bucket) => `weft-${MESH}-${bucket}`),
    );

    for (const [key, all] of writes) {
      for (const text of [all[0], all.at(-2), all.at(-1)]) {
        if (text === undefined) continue;
        attacker.publish(key, text);
        for (let time = 0; time < 3; time++) attacker.publish(keys[random(keys.length)] as string, text);
        const subject = key.replace(`$KV.weft-${MESH}-config.`, `weft.${MESH}.cfg.`);
        if (subject !== key) attacker.publish(subject, text);
      }
      for (const text of ['x', '{}', 'e30.e30.e30', '\u0000'.repeat(1_000)])
        attacker.publish(key, Buffer.from(text));
    }
    const other = createRoot().seed;
    const later: Revision = [Date.now() + 1_000_000_000, 1];
    for (const [kind, forged] of [
      ['snapshot', snapshotOf(ORDERS, later, 'evil.example')],
      ['endpoints', listOf(ORDERS, later, [{ agent: 'evil', document: web.membership.keyring.document }])],
      [
        'trust',
        {
          version: 1,
          mesh: MESH,
          service: TRUST_NAME,
          revision: later,
          roots: [readRoot(other).publicKey],
          revoked: [],
          renew: [],
        },
      ],
    ] as const) {
      const text = Buffer.from(sealed(other, kind, forged));
      const key = publicationKey(kind, kind === 'trust' ? TRUST_NAME : ORDERS);
      attacker.publish(`$KV.${configBucket(MESH)}.${key}`, text);
      attacker.publish(`$KV.${configBucket(MESH)}.evil`, text);
    }
    for (const operation of ['DEL', 'PURGE']) {
      for (const key of keys) {
        const head = headers();
        head.set('KV-Operation', operation);
        if (operation === 'PURGE') head.set('Nats-Rollup', 'sub');
        attacker.publish(key, new Uint8Array(), undefined, head);
      }
    }
    await attacker.flush();
    const isAsBefore = async () => {
      const { items, identities } = await stateOf(mesh);
      const isSame =
        JSON.stringify([items, identities]) === JSON.stringify([before.items, before.identities]);
      return isSame && (await mesh.isListed('app-1', 'app-2')) && checkOf(mesh, 'policy');
    };
    await until(isAsBefore, 'all is put right');

    for (const text of ['x', JSON.stringify({ id: 'evil', time: new Date().toISOString() })]) {
      attacker.publish(`$KV.weft-${MESH}-state.leader`, Buffer.from(text));
      await until(() => !mesh.controller().leading, 'it does not trust its lease');
      await until(() => mesh.controller().leading, 'it leads again');
    }
    t.false(await checkOf(mesh, 'writers'), 'and says that somebody else writes');
    t.is((await mesh.call('orders', 'GET', 0, 'more')).by, 'denied');
    await apply(plane, onlyOrders('orders', '/more/*'));
    const more = async () => (await mesh.call('orders', 'GET', 0, 'more')).status === 200;
    await until(more, 'what it publishes is taken');

    over = true;
    await load;
    t.deepEqual([...outcomes].sort(), steady);

    // The oldest of all, for who starts anew while no controller is there, and for the controller that comes back.
    const { items } = await stateOf(mesh);
    await mesh.stopController();
    for (const [key, [oldest]] of writes) {
      if (oldest !== undefined && /-(policy|config)\./.test(key)) attacker.publish(key, oldest);
    }
    await attacker.flush();
    await mesh.restart('app-1');
    for (let time = 0; time < 10; time++) t.is(await twin('admin'), 'reset denied');
    await mesh.startController();
    await until(() => mesh.isListed('app-1', 'app-2'), 'all are listed');
    t.is(await twin('admin'), 'reset denied');
    t.deepEqual((await stateOf(mesh)).items, items);
    t.true(await checkOf(mesh, 'policy'));

    for (const [name, revision] of Object.entries(revisionsOf(web))) {
      t.true(compareRevisions(revision, before.revisions[name] ?? NO_REVISION) >= 0, name);
    }
    const refused = await web.agent.registry.getSingleMetric('weft_publications_refused_total')?.get();
    const reasons = new Set(refused?.values.map(({ labels }) => String(labels.reason)));
    t.deepEqual([...reasons].sort(), ['deleted', 'revision', 'service', 'signature']);
    mesh.checkHarm();
  },
);

function revisionsOf({ agent }: EnrolledAgent): Record<string, Revision> {
  const { trust, snapshot, endpoints } = agent.publications() as Record<string, Record<string, Revision>>;
  const named = (kind: string, held: Record<string, Revision> = {}) =>
    Object.entries(held).map(([name, revision]) => [`${kind} ${name}`, revision]);
  return Object.fromEntries([
    ...named('snapshot', snapshot),
    ...named('endpoints', endpoints),
    ...Object.entries(trust ?? {}),
  ]);
}

/** What an operator sees of the mesh. */
async function stateOf({ plane }: AttackedMesh) {
  const { items } = await plane.done('get', {});
  const identities = (await plane.done('identities', {})).items.map(({ agent, state, key }) => [
    agent,
    state,
    key,
  ]);
  return { items: items.map(({ kind, metadata, spec }) => ({ kind, metadata, spec })), identities };
}

async function checkOf({ plane }: AttackedMesh, name: string): Promise<boolean> {
  const { checks } = await plane.done('check', {});
  return checks.find((one) => one.name === name)?.result === 'ok';
}
