/** The second wall, on a real server: what each role may do there, and what it may not. */
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import test, { type ExecutionContext } from 'ava';
import { openBuckets } from '../../src/controller/buckets.ts';
import {
  apiSubject,
  configBucket,
  heartbeatSubject,
  identityBucket,
  instanceSubject,
  policyBucket,
  processSubject,
  publicationGetSubject,
  publicationSubject,
  QUEUE,
  receiveSubject,
  repliesSubject,
  serviceSubject,
  stateBucket,
} from '../../src/protocol/subjects.ts';
import { VERB_RIGHTS, verbsOfRole } from '../../src/protocol/verb-rights.ts';
import { until } from '../kit/mesh.ts';
import { createKey, MESH, mayHear, mayPublish, startWalledNats, type WalledNats } from './walled-nats.ts';

const SESSION = '0123456789abcdef';
const BUCKETS = [policyBucket, configBucket, stateBucket, identityBucket].map((bucket) => bucket(MESH));
const SECRET = publicationGetSubject(MESH, 'snapshot', 'orders.default');

/** The buckets as a controller makes them, with one publication in them. */
async function startStore(t: ExecutionContext, nats: WalledNats) {
  const connection = await nats.dial('controller');
  // JetStream of a server that has just started takes a moment; a controller tries again too.
  const buckets = await until(() => openBuckets(connection, MESH), 'JetStream answers');
  await buckets.config.put('snapshot.default.orders', 'signed');
  await buckets.policy.put('some.resource', 'authored');
  t.is((await buckets.policy.get('some.resource'))?.string(), 'authored');
  return { connection, ...buckets };
}

async function assertAll(
  t: ExecutionContext,
  expected: boolean,
  tried: Readonly<Record<string, Promise<boolean>>>,
) {
  const given = await Promise.all(Object.entries(tried).map(async ([what, may]) => [what, await may]));
  const otherwise = given.filter(([, may]) => may !== expected).map(([what]) => what);
  t.deepEqual(otherwise, [], expected ? 'refused' : 'allowed');
}

const publishes = (connection: NatsConnection, subjects: readonly string[]) =>
  Object.fromEntries(subjects.map((subject) => [`publish ${subject}`, mayPublish(connection, subject)]));
const hears = (connection: NatsConnection, subjects: readonly (readonly [string, string?])[]) =>
  Object.fromEntries(
    subjects.map(([subject, queue]) => [
      `hear ${subject} ${queue ?? ''}`,
      mayHear(connection, subject, queue),
    ]),
  );

test('an agent may serve its workloads, call any service, and say how it is', async (t) => {
  const nats = await startWalledNats(t);
  const agent = await nats.dial('app-1');
  const own = receiveSubject(MESH, 'app-1', SESSION);
  await assertAll(t, true, {
    ...hears(agent, [
      [own],
      [repliesSubject(own)],
      ...['orders.default', 'users.shop'].flatMap((service) => [
        [serviceSubject(MESH, service), QUEUE] as const,
        [instanceSubject(MESH, service, 'app-1')] as const,
        [processSubject(MESH, service, 'app-1', 'f00d')] as const,
      ]),
      [publicationSubject(MESH, 'snapshot', 'whatever.example.com')],
    ]),
    ...publishes(agent, [
      serviceSubject(MESH, 'checkout.default'),
      processSubject(MESH, 'checkout.default', 'web-1', 'f00d'),
      receiveSubject(MESH, 'web-1', SESSION),
      heartbeatSubject(MESH, 'app-1'),
      apiSubject(MESH, 'renew'),
    ]),
  });
});

test('an agent may not speak, hear or serve for others', async (t) => {
  const nats = await startWalledNats(t);
  const agent = await nats.dial('app-1');
  const other = receiveSubject(MESH, 'web-1', SESSION);
  await assertAll(t, false, {
    ...hears(agent, [
      ['>'],
      ['*'],
      ['weft.>'],
      [`weft.${MESH}.>`],
      [`weft.${MESH}.*.>`],
      [`weft.${MESH}.svc.>`],
      [`weft.${MESH}.svc.>`, QUEUE],
      [other],
      [repliesSubject(other)],
      [receiveSubject(MESH, '*', SESSION)],
      [receiveSubject(MESH, '*', '*')],
      [`weft.${MESH}.rx.>`],
      // Not a service that it does not serve, and its own only in the one group: another one would get a copy of all requests.
      [serviceSubject(MESH, 'checkout.default')],
      [serviceSubject(MESH, 'checkout.default'), QUEUE],
      [serviceSubject(MESH, 'orders.default')],
      [serviceSubject(MESH, 'orders.default'), 'other'],
      [serviceSubject(MESH, 'orders.default'), '*'],
      [serviceSubject(MESH, 'orders.*'), QUEUE],
      [serviceSubject(MESH, '*.default'), QUEUE],
      [instanceSubject(MESH, 'checkout.default', 'app-1')],
      [instanceSubject(MESH, 'orders.default', 'web-1')],
      [instanceSubject(MESH, 'orders.default', '*')],
      [processSubject(MESH, 'orders.default', '*', 'f00d')],
      [heartbeatSubject(MESH, 'web-1')],
      [apiSubject(MESH, 'apply')],
      [apiSubject(MESH, 'apply'), QUEUE],
      [apiSubject(MESH, '*'), QUEUE],
      ['_INBOX.>'],
      ['_INBOX.*.*'],
      [`_INBOX.weft.${MESH}.web-1.>`],
      [`_INBOX.weft.${MESH}.*.>`],
      ['_R_.>'],
      ['$JS.>'],
      ['$SRV.>'],
      ['$SYS.>'],
      ...BUCKETS.map((bucket) => [`$KV.${bucket}.>`] as const),
    ]),
    ...publishes(agent, [
      heartbeatSubject(MESH, 'web-1'),
      publicationSubject(MESH, 'snapshot', 'orders.default'),
      ...Object.keys(VERB_RIGHTS)
        .filter((verb) => verb !== 'renew')
        .map((verb) => apiSubject(MESH, verb)),
      '$JS.API.STREAM.NAMES',
      '$JS.API.INFO',
      '$SRV.PING',
      '$SYS.REQ.SERVER.PING',
      `_INBOX.weft.${MESH}.web-1.x`,
      ...BUCKETS.flatMap((bucket) => [
        `$KV.${bucket}.leader`,
        `$JS.API.STREAM.INFO.KV_${bucket}`,
        `$JS.API.STREAM.DELETE.KV_${bucket}`,
        `$JS.API.STREAM.MSG.GET.KV_${bucket}`,
        `$JS.API.CONSUMER.CREATE.KV_${bucket}`,
        `$JS.API.DIRECT.GET.KV_${bucket}`,
      ]),
      ...BUCKETS.filter((bucket) => bucket !== configBucket(MESH)).map(
        (bucket) => `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.some.resource`,
      ),
    ]),
  });
});

test('an agent reads what is published and hears of changes', async (t) => {
  const nats = await startWalledNats(t);
  const agent = await nats.dial('app-1');
  const heard: string[] = [];
  agent.subscribe(publicationSubject(MESH, 'snapshot', 'orders.default'), {
    callback: (_, message) => void heard.push(message.string()),
  });
  await agent.flush();
  const { config } = await startStore(t, nats);
  t.is((await agent.request(SECRET, '')).string(), 'signed');
  const none = await agent.request(publicationGetSubject(MESH, 'endpoints', 'orders.default'), '');
  t.is(none.headers?.code, 404);
  await config.put('snapshot.default.orders', 'signed again');
  await until(() => heard.includes('signed again'), 'the change is heard');
});

test('nobody can have an answer put into a bucket by naming a key of it as the subject to answer on', async (t) => {
  const nats = await startWalledNats(t);
  const { connection, policy, state, config } = await startStore(t, nats);
  connection.subscribe(apiSubject(MESH, 'check'), {
    queue: QUEUE,
    callback: (_, message) => void message.respond('answered'),
  });
  await connection.flush();
  const [agent, viewer] = [await nats.dial('app-1'), await nats.dial('viewer')];
  const keys = BUCKETS.map((bucket) => `$KV.${bucket}.leader`);
  for (const reply of keys) {
    agent.publish(SECRET, '', { reply });
    viewer.publish(apiSubject(MESH, 'check'), '{}', { reply });
  }
  // Asked after those, and answered after them.
  t.is((await agent.request(SECRET, '')).string(), 'signed');
  t.is((await viewer.request(apiSubject(MESH, 'check'), '{}')).string(), 'answered');
  for (const bucket of [policy, state, config]) t.is(await bucket.get('leader'), null);
});

test('the answers to one user are not heard by another one', async (t) => {
  const nats = await startWalledNats(t);
  const [agent, other, viewer] = [
    await nats.dial('app-1'),
    await nats.dial('web-1'),
    await nats.dial('viewer'),
  ];
  const { publicKey } = nats.keys.viewer;
  await assertAll(t, false, {
    ...hears(agent, [[`_INBOX.${publicKey}.>`], [`_INBOX.${publicKey}.*`]]),
    ...hears(other, [[`_INBOX.weft.${MESH}.app-1.>`]]),
    ...hears(viewer, [[`_INBOX.weft.${MESH}.app-1.>`], [`_INBOX.${nats.keys.admin.publicKey}.>`]]),
  });
});

for (const role of ['viewer', 'editor', 'admin'] as const) {
  test(`the ${role} may call the verbs of the role and no others, and sees the fleet`, async (t) => {
    const nats = await startWalledNats(t);
    const operator = await nats.dial(role);
    const mine = new Set<string>(verbsOfRole(role));
    const all = Object.keys(VERB_RIGHTS);
    const others = all.filter((verb) => !mine.has(verb));
    t.is(mine.has('apply'), role !== 'viewer');
    t.is(mine.has('token'), role === 'admin');
    await assertAll(t, true, {
      ...publishes(
        operator,
        [...mine].map((verb) => apiSubject(MESH, verb)),
      ),
      ...hears(operator, [[`weft.${MESH}.obs.>`], [heartbeatSubject(MESH, 'app-1')]]),
    });
    await assertAll(t, false, {
      ...publishes(operator, [
        ...others.map((verb) => apiSubject(MESH, verb)),
        serviceSubject(MESH, 'orders.default'),
        heartbeatSubject(MESH, 'app-1'),
        receiveSubject(MESH, 'app-1', SESSION),
        SECRET,
        ...BUCKETS.map((bucket) => `$KV.${bucket}.x`),
      ]),
      ...hears(operator, [
        ['>'],
        [serviceSubject(MESH, 'orders.default'), QUEUE],
        [receiveSubject(MESH, 'app-1', SESSION)],
        [apiSubject(MESH, 'get'), QUEUE],
      ]),
    });
  });
}

test('who joins may ask for that, and nothing else', async (t) => {
  const nats = await startWalledNats(t);
  const controller = await nats.dial('controller');
  controller.subscribe(apiSubject(MESH, 'join'), {
    queue: QUEUE,
    callback: (_, message) => void message.respond('granted'),
  });
  await controller.flush();
  const host = await nats.dial('join');
  t.is((await host.request(apiSubject(MESH, 'join'), '{}')).string(), 'granted');
  await assertAll(t, false, {
    ...publishes(host, [
      ...Object.keys(VERB_RIGHTS)
        .filter((verb) => verb !== 'join')
        .map((verb) => apiSubject(MESH, verb)),
      heartbeatSubject(MESH, 'app-1'),
      serviceSubject(MESH, 'orders.default'),
      SECRET,
    ]),
    ...hears(host, [['>'], ['weft.>'], [publicationSubject(MESH, 'snapshot', 'orders.default')]]),
  });
});

test('a controller hears agents, answers calls of every controller that is asked, and keeps what it has to', async (t) => {
  const nats = await startWalledNats(t);
  const { connection, state } = await startStore(t, nats);
  const second = await nats.dial('controller');
  const beats: string[] = [];
  connection.subscribe(heartbeatSubject(MESH, '*'), {
    callback: (_, { subject }) => void beats.push(subject),
  });
  for (const [index, one] of [connection, second].entries()) {
    one.subscribe('$SRV.PING', { callback: (_, message) => void message.respond(`controller ${index}`) });
    await one.flush();
  }
  const [agent, viewer] = [await nats.dial('app-1'), await nats.dial('viewer')];
  agent.publish(heartbeatSubject(MESH, 'app-1'), 'beat');
  await until(() => beats.includes(heartbeatSubject(MESH, 'app-1')), 'the heartbeat crosses over');
  const said: string[] = [];
  viewer.subscribe(`_INBOX.${nats.keys.viewer.publicKey}.ping`, {
    callback: (_, message) => void said.push(message.string()),
  });
  viewer.publish('$SRV.PING', '', { reply: `_INBOX.${nats.keys.viewer.publicKey}.ping` });
  await until(() => said.length === 2, 'both answer');
  t.deepEqual(said.toSorted(), ['controller 0', 'controller 1']);

  const watch = await state.watch({ key: '>' });
  await state.put('fleet', 'here');
  for await (const entry of watch) {
    t.is(entry.string(), 'here');
    break;
  }
  const info = (await viewer.request('$JS.API.INFO', '')).json<{ streams: number }>();
  t.is(info.streams, 4);
});

test('a call that nobody answers is known at once, and a controller that goes away too', async (t) => {
  const nats = await startWalledNats(t);
  const viewer = await nats.dial('viewer');
  const asked = (timeout = 60_000) => viewer.request(apiSubject(MESH, 'get'), '{}', { timeout });
  await t.throwsAsync(asked(), { message: /no responders/i });
  const controller = await nats.dial('controller');
  controller.subscribe(apiSubject(MESH, 'get'), {
    queue: QUEUE,
    callback: (_, message) => void message.respond('here'),
  });
  await controller.flush();
  t.is((await asked()).string(), 'here');
  await controller.close();
  await until(
    () =>
      // One that was on its way to the controller when that went is never answered.
      asked(2_000).then(
        () => false,
        (error) => /no responders/i.test(error.message),
      ),
    'nobody is there',
  );
});

test('a controller has no part in what agents say to each other, and no stream but those of the mesh', async (t) => {
  const nats = await startWalledNats(t);
  const controller = await nats.dial('controller');
  await assertAll(t, false, {
    ...publishes(controller, [
      heartbeatSubject(MESH, 'app-1'),
      serviceSubject(MESH, 'orders.default'),
      receiveSubject(MESH, 'app-1', SESSION),
      '$JS.API.STREAM.CREATE.EVERYTHING',
      '$KV.other.x',
    ]),
    ...hears(controller, [['>'], ['weft.>'], [receiveSubject(MESH, 'app-1', SESSION)]]),
  });
  const manager = await jetstreamManager(controller);
  await t.throwsAsync(manager.streams.add({ name: 'EVERYTHING', subjects: ['weft.>'] }));
});

test('an agent can use no bucket, not by the calls of the client either', async (t) => {
  const nats = await startWalledNats(t);
  await startStore(t, nats);
  const kvm = new Kvm(jetstream(await nats.dial('app-1')));
  await t.throwsAsync(kvm.create('mine'));
  const bucket = await kvm.open(configBucket(MESH));
  await t.throwsAsync(bucket.put('snapshot.default.orders', 'mine'));
  await t.throwsAsync(bucket.watch());
});

test('whoever has no key is refused, and so is a key that is not in the file', async (t) => {
  const nats = await startWalledNats(t);
  await t.throwsAsync(nats.dialWith(createKey(), '_INBOX'), { message: /authorization/i });
});
