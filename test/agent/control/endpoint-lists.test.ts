/** Endpoints that come and go by what is published of them. */
import { EventEmitter, once } from 'node:events';
import { request } from 'node:http';
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { type Heartbeat, heartbeatParts, readHeartbeat } from '../../../src/protocol/heartbeat.ts';
import { readIntroduction } from '../../../src/protocol/introduction.ts';
import { verificationKey } from '../../../src/protocol/nkey.ts';
import { readRoot } from '../../../src/protocol/root.ts';
import { openDocument } from '../../../src/protocol/signed-document.ts';
import { heartbeatsSubject } from '../../../src/protocol/subjects.ts';
import { intrude } from '../../kit/intruder.ts';
import { ask, MESH, quiet, startApplication, startMesh, type TestMesh, until } from '../../kit/mesh.ts';
import { listOf, startPublisher } from '../../kit/publisher.ts';
import { createRootKeyring } from '../../kit/root-keyring.ts';
import { Ear } from '../../link/pair.ts';

const ORDERS = 'orders.default';
const CHECKOUT = { service: 'checkout.default', calls: true };
const codeOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString()).code;

async function start(t: ExecutionContext) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const publisher = await startPublisher(t, mesh.nats.url, mesh.seed);
  const front = await mesh.add('front', [CHECKOUT]);
  const beats = await listen(t, mesh);
  return { mesh, publisher, front, beats };
}

/** The latest heartbeat of each agent. */
async function listen(t: ExecutionContext, { nats, seed }: TestMesh) {
  const connection = await connect({ servers: nats.url });
  t.teardown(() => connection.close());
  const rootKey = verificationKey(readRoot(seed).publicKey);
  const latest = new Map<string, Heartbeat>();
  const documents = new Map<string, string>();
  const all: Heartbeat[] = [];
  connection.subscribe(heartbeatsSubject(MESH), {
    callback(_error, message) {
      const { introduction, statement } = heartbeatParts(message.string());
      const { signingKey } = readIntroduction(rootKey, MESH, introduction, Date.now());
      const beat = readHeartbeat(MESH, openDocument(signingKey, 'weft-heartbeat', statement, 1024 * 1024));
      if (beat === undefined) return;
      latest.set(beat.agent, beat);
      documents.set(beat.agent, introduction);
      all.push(beat);
    },
  });
  await connection.flush();
  return {
    all,
    of: (agent: string) => until(() => latest.get(agent), `a heartbeat of ${agent}`),
    async documentOf(agent: string) {
      return until(() => documents.get(agent), `a heartbeat of ${agent}`);
    },
  };
}

/** An application that holds every request until it is told to answer. */
async function startHolding(t: ExecutionContext) {
  const gate = new EventEmitter().setMaxListeners(0);
  const arrived = new EventEmitter();
  const application = await startApplication(async (_request, response) => {
    arrived.emit('request');
    await once(gate, 'open');
    response.end('held');
  });
  t.teardown(application.stop);
  return { port: application.port, arrived, open: () => gate.emit('open') };
}

test('requests go to the endpoints of the list in turn, and follow it', async (t) => {
  const { mesh, publisher, front, beats } = await start(t);
  for (const name of ['one', 'two', 'three']) {
    const application = await startApplication((_request, response) => response.end(name));
    t.teardown(application.stop);
    await mesh.add(name, [{ service: ORDERS, ports: [application.port] }]);
  }
  const entry = async (agent: string, state: 'ready' | 'draining' = 'ready') => ({
    agent,
    document: await beats.documentOf(agent),
    state,
  });
  const who = async () => (await ask(front.door, 'orders')).body.toString();
  const many = async () => (await Promise.all(Array.from({ length: 8 }, who))).sort();
  const half = (a: string, b: string) => [a, a, a, a, b, b, b, b];

  await publisher.publish('endpoints', listOf(ORDERS, [1, 1], [await entry('one'), await entry('two')]));
  await who();
  await until(async () => (await many()).join() === half('one', 'two').join(), 'the list is followed');
  const second = [await entry('one', 'draining'), await entry('two'), await entry('three')];
  await publisher.publish('endpoints', listOf(ORDERS, [1, 2], second));
  await until(async () => (await many()).join() === half('three', 'two').join(), 'so is the next one');
  t.deepEqual(await many(), half('three', 'two'));
  await until(() => quiet(front.agent), 'nothing is left');
});

test('an agent that is silent is not asked once it is off the list', async (t) => {
  const { mesh, publisher, front, beats } = await start(t);
  const application = await startApplication((_request, response) => response.end('alive'));
  t.teardown(application.stop);
  await mesh.add('alive', [{ service: ORDERS, ports: [application.port] }]);
  let askedSilent = 0;
  // It takes requests, as a stopped process would whose connection is still there, and never says a word.
  const silent = await intrude(t, mesh.nats.url, mesh.seed, [ORDERS], () => {
    askedSilent += 1;
    return new Ear();
  });
  silent.join(ORDERS);
  await silent.flush();
  const alive = { agent: 'alive', document: await beats.documentOf('alive') };
  await publisher.publish('endpoints', listOf(ORDERS, [1, 1], [alive]));
  await ask(front.door, 'orders');
  await until(() => hasList(front.agent.publications()), 'the list is there');
  askedSilent = 0;
  for (let count = 0; count < 30; count++) {
    t.is((await ask(front.door, 'orders', '/', { method: count % 2 === 0 ? 'GET' : 'POST' })).status, 200);
  }
  t.is(askedSilent, 0);
});

test('a request that a silent agent has not even acknowledged ends when the agent is off the list', async (t) => {
  const { mesh, publisher, front } = await start(t);
  const taken = new EventEmitter();
  const silent = await intrude(t, mesh.nats.url, mesh.seed, [ORDERS], () => {
    taken.emit('request');
    return new Ear();
  });
  silent.join(ORDERS);
  await silent.flush();
  await publisher.publish(
    'endpoints',
    listOf(ORDERS, [1, 1], [{ agent: 'intruder', document: silent.document }]),
  );
  await ask(front.door, 'other');
  const first = ask(front.door, 'orders');
  // Else it could be taken for the one that is asked about.
  await once(taken, 'request');
  await until(() => hasList(front.agent.publications()), 'the list is there');
  const asked = ask(front.door, 'orders');
  await once(taken, 'request');
  await publisher.publish('endpoints', listOf(ORDERS, [1, 2], []));
  const answer = await asked;
  t.deepEqual([answer.status, codeOf(answer)], [502, 'agent_lost']);
  await first;
});

const hasList = (publications: unknown) =>
  Object.keys((publications as { endpoints: object }).endpoints).length > 0;

test('a request whose agent is gone fails at once; one that another agent has is not touched', async (t) => {
  const { mesh, publisher, front, beats } = await start(t);
  const holding = await startHolding(t);
  await mesh.add('stays', [{ service: ORDERS, ports: [holding.port] }]);
  await mesh.add('goes', [{ service: ORDERS, ports: [holding.port] }]);
  const entry = async (agent: string) => ({ agent, document: await beats.documentOf(agent) });
  const [stays, goes] = [await entry('stays'), await entry('goes')];

  await publisher.publish('endpoints', listOf(ORDERS, [1, 1], [goes]));
  const first = ask(front.door, 'orders', '/first');
  await once(holding.arrived, 'request');
  await until(() => hasList(front.agent.publications()), 'the list is there');
  const lost = ask(front.door, 'orders', '/lost');
  await once(holding.arrived, 'request');
  await publisher.publish('endpoints', listOf(ORDERS, [1, 2], [goes, stays]));
  await until(() => revisionIs(front.agent.publications(), 2), 'the second list is there');
  await publisher.publish('endpoints', listOf(ORDERS, [1, 3], [{ ...goes, state: 'unhealthy' }, stays]));
  await until(() => revisionIs(front.agent.publications(), 3), 'the third list is there');
  const untouched = ask(front.door, 'orders', '/untouched');
  await once(holding.arrived, 'request');
  t.is(front.agent.counts().streamsOpened, 3, 'who is merely unhealthy keeps its requests');

  await publisher.publish('endpoints', listOf(ORDERS, [1, 4], [stays]));
  const answer = await lost;
  t.deepEqual([answer.status, codeOf(answer)], [502, 'agent_lost']);
  holding.open();
  t.is((await untouched).body.toString(), 'held');
  // The bus had picked for the first one, before there was a list.
  t.true(
    ['held', 'agent_lost'].includes(await first.then((one) => (one.status === 200 ? 'held' : codeOf(one)))),
  );
  await until(() => quiet(front.agent), 'nothing is left');
});

const revisionIs = (publications: unknown, number: number) =>
  (publications as { endpoints: Record<string, readonly number[]> }).endpoints[ORDERS]?.[1] === number;

test('a response that has begun is not cut off when its agent is off the list', async (t) => {
  const { mesh, publisher, front, beats } = await start(t);
  const go = new EventEmitter();
  const application = await startApplication(async (_request, response) => {
    response.write('be');
    await once(go, 'on');
    response.end('gun');
  });
  t.teardown(application.stop);
  await mesh.add('back', [{ service: ORDERS, ports: [application.port] }]);
  const back = { agent: 'back', document: await beats.documentOf('back') };
  await publisher.publish('endpoints', listOf(ORDERS, [1, 1], [back]));
  const asked = request({ host: '127.0.0.1', port: front.door, headers: { host: 'orders' } }).end();
  const [response] = await once(asked, 'response');
  await until(() => hasList(front.agent.publications()), 'the list is there');
  await publisher.publish('endpoints', listOf(ORDERS, [1, 2], []));
  await until(() => revisionIs(front.agent.publications(), 2), 'the second list is there');
  go.emit('on');
  let body = '';
  for await (const chunk of response) body += chunk;
  t.is(body, 'begun');
});

test('an agent announces itself, each second and when it drains, and says goodbye', async (t) => {
  const { mesh, beats, front } = await start(t);
  const holding = await startHolding(t);
  const back = await mesh.add('back', [{ service: ORDERS, ports: [holding.port] }]);
  const { session, workloads, release } = await beats.of('back');
  const document = await beats.documentOf('back');
  t.deepEqual(
    workloads.map(({ service, state, reason }) => [service, state, reason]),
    [[ORDERS, 'ready', '']],
  );
  t.is(release, 'unknown');
  const keyring = createRootKeyring({
    rootSeed: mesh.seed,
    mesh: MESH,
    agent: 'x',
    workloads: [],
    now: Date.now,
  });
  t.is(keyring.verify(document).agent, 'back');
  t.deepEqual((await beats.of('front')).workloads, []);

  const asked = ask(front.door, 'orders');
  await once(holding.arrived, 'request');
  const drained = back.agent.drain();
  await until(async () => (await beats.of('back')).workloads[0]?.state === 'draining', 'it drains');
  t.false((await beats.of('back')).leaving);
  holding.open();
  t.is((await asked).body.toString(), 'held');
  await drained;
  await until(async () => (await beats.of('back')).leaving, 'it has left');
  const own = beats.all.filter(({ agent }) => agent === 'back');
  t.deepEqual([...new Set(own.map((beat) => beat.session))], [session]);
  t.true(own.every(({ sequence }, index) => index === 0 || sequence > own[index - 1]!.sequence));
  t.true(own.at(-1)?.leaving);
});
