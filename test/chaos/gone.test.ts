/**
 * An agent that dies or hangs while somebody listens to the whole mesh: the bus then never says that nobody is there,
 * and only the lease of the agent tells.
 */
import { request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { TIMING } from '../../src/controller/limits.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { startAgentProcess } from '../kit/agent-process.ts';
import { startControllerProcess } from '../kit/controller-process.ts';
import { ask, startApplication, startMesh, until } from '../kit/mesh.ts';

const ORDERS = 'orders.default';
const HELD = '/held';
/** Between two rounds of requests: leaves the machine to the processes that are watched. */
const LOAD_PAUSE_MS = 20;
/** Between two looks that are a process each. */
const LOOK_MS = 200;

interface Outcome {
  readonly method: string;
  /** The name of the application that answered, or the code of the failure. */
  readonly by: string;
}

/** An application that tells its name; what is asked for `/held` it begins to work on, and waits. */
async function startNamed(t: ExecutionContext, name: string) {
  /** How often each POST was carried out, by its id. */
  const done = new Map<string, number>();
  const held = new Set<() => void>();
  const application = await startApplication((incoming, response) => {
    const id = incoming.headers['x-id'];
    if (typeof id === 'string') done.set(id, (done.get(id) ?? 0) + 1);
    const finish = () => response.end(name);
    incoming.resume();
    if (incoming.url !== HELD) {
      finish();
      return;
    }
    // Tells the caller who has it.
    response.writeEarlyHints({ link: `</${name}>; rel=preload` });
    held.add(finish);
    response.on('close', () => held.delete(finish));
  });
  t.teardown(application.stop);
  const release = () => {
    for (const finish of held) finish();
  };
  return { name, port: application.port, done, release };
}

/** One request; resolves with the name of who has answered, or the code of the failure. */
async function outcome(door: number, method: string, id: string): Promise<Outcome> {
  const headers = method === 'POST' ? { 'x-id': id } : {};
  const { status, body } = await ask(
    door,
    'orders',
    '/',
    { method, headers },
    method === 'POST' ? 'pay' : '',
  );
  return { method, by: status === 200 ? body.toString() : JSON.parse(body.toString()).code };
}

/** A request that its application holds; `by` is who has it. */
async function hold(door: number, id: string): Promise<{ by: string; answer: Promise<string> }> {
  const headers = { host: 'orders', 'x-id': id };
  const sent = request({ host: '127.0.0.1', port: door, path: HELD, method: 'POST', agent: false, headers });
  const answer = new Promise<string>((resolve, reject) => {
    sent.on('error', reject).on('response', async (response) => {
      const text = (await response.toArray()).join('');
      resolve(response.statusCode === 200 ? text : JSON.parse(text).code);
    });
  });
  const hints = new Promise<string>((resolve) => {
    sent.on('information', ({ headers }) => resolve(/<\/(\w+)>/.exec(String(headers.link))?.[1] ?? ''));
  });
  sent.end('pay');
  return { by: await hints, answer };
}

async function start(t: ExecutionContext) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const ear = await connect({ servers: mesh.nats.url });
  t.teardown(() => ear.close());
  ear.subscribe('weft.>', { callback: () => {} });
  await ear.flush();
  const controller = await startControllerProcess(t, mesh);
  const [one, two] = [await startNamed(t, 'one'), await startNamed(t, 'two')];
  const victim = await startAgentProcess(t, mesh, 'victim', { service: 'orders', port: one.port });
  await startAgentProcess(t, mesh, 'other', { service: 'orders', port: two.port });
  const callers = [
    await startAgentProcess(t, mesh, 'near', { service: 'checkout', calls: true }),
    await startAgentProcess(t, mesh, 'far', { service: 'billing', calls: true }),
  ];

  /** Who is listed, as an operator sees it. */
  const listed = async (): Promise<string[]> => {
    const { code, stdout, stderr } = await controller.run('get', 'endpoints', 'orders', '-o', 'json');
    if (code !== 0) throw new Error(stderr);
    const items: { host: string; state: string }[] = JSON.parse(stdout).items;
    return items.filter(({ state }) => state === 'ready').map(({ host }) => host);
  };
  await until(async () => (await listed()).join() === 'other,victim', 'both are listed', LOOK_MS);
  let posts = 0;
  /** From every caller, so that each endpoint gets some of both kinds. */
  const round = async () => {
    const asked = callers.flatMap(({ door }) =>
      ['GET', 'POST', 'GET', 'POST'].map((method) => outcome(door, method, `p${posts++}`)),
    );
    return Promise.all(asked);
  };
  for (const caller of callers) {
    await until(async () => {
      await outcome(caller.door, 'GET', '');
      return ORDERS in (await caller.lists());
    }, 'the list has come');
  }
  await until(async () => new Set((await round()).map(({ by }) => by)).size === 2, 'both are asked');

  /** Everything that was asked until now and from now on, until `stop`. */
  const load = () => {
    const outcomes: Outcome[] = [];
    let stopped = false;
    const running = (async () => {
      while (!stopped) {
        outcomes.push(...(await round()));
        await wait(LOAD_PAUSE_MS);
      }
    })();
    return {
      outcomes,
      async stop() {
        stopped = true;
        await running;
        return outcomes;
      },
    };
  };
  /** At every caller one request that the victim has and one that the other has. */
  const holdBoth = async () => {
    const all = await Promise.all(callers.flatMap(({ door }) => [0, 1].map(() => hold(door, `h${posts++}`))));
    const of = (name: string) => all.filter(({ by }) => by === name).map(({ answer }) => answer);
    t.is(of('one').length, callers.length);
    return { lost: of('one'), kept: of('two') };
  };
  /** How often each POST was carried out. */
  const counts = () => {
    const all = new Map(two.done);
    for (const [id, count] of one.done) all.set(id, (all.get(id) ?? 0) + count);
    return [...new Set(all.values())];
  };
  return { controller, one, two, victim, listed, round, load, holdBoth, counts };
}

function failures(outcomes: readonly Outcome[]): string[] {
  const codes = outcomes.map(({ by }) => by).filter((by) => by !== 'one' && by !== 'two');
  return [...new Set(codes)].sort();
}

/** What may become of a request that the victim has got, or was sent before anybody could know. */
const EXPLAINED = ['agent_lost', 'not_accepted'];

test('what an agent says and what the controller allows for add up to less than 5 s', (t) => {
  // The last heartbeat, its lease, a look at the leases, and what is gathered before it is published.
  t.true(LIMITS.sweepMs + TIMING.agentLeaseMs + 2 * TIMING.sweepMs + TIMING.gatherMs < 5_000);
  // Who asks it before that passes it over by itself.
  t.true(LIMITS.acceptTimeoutMs < TIMING.agentLeaseMs);
});

test('an agent that was killed is gone from everywhere, and nobody asks it any more', async (t) => {
  t.timeout(300_000);
  const { two, victim, listed, round, load, holdBoth, counts } = await start(t);
  const { lost, kept } = await holdBoth();
  const meanwhile = load();

  victim.weft.child.kill('SIGKILL');
  await victim.weft.exited;

  // Each caller has a request there: it ends when the caller knows.
  t.deepEqual(await Promise.all(lost), ['agent_lost', 'agent_lost']);
  t.deepEqual(await listed(), ['other']);
  for (const code of failures(await meanwhile.stop())) t.true(EXPLAINED.includes(code), code);
  for (let count = 0; count < 10; count++) {
    t.deepEqual([...new Set((await round()).map(({ by }) => by))], ['two']);
  }
  two.release();
  t.deepEqual(await Promise.all(kept), ['two', 'two']);
  t.deepEqual(counts(), [1]);
});

test('an agent that hangs is gone until it goes on, and then serves again; nothing is done twice', async (t) => {
  t.timeout(300_000);
  const { one, two, victim, listed, round, load, holdBoth, counts } = await start(t);
  const { lost, kept } = await holdBoth();
  const meanwhile = load();

  victim.weft.child.kill('SIGSTOP');

  t.deepEqual(await Promise.all(lost), ['agent_lost', 'agent_lost']);
  t.deepEqual(await listed(), ['other']);
  for (const code of failures(await meanwhile.stop())) t.true(EXPLAINED.includes(code), code);
  for (let count = 0; count < 10; count++) {
    t.deepEqual([...new Set((await round()).map(({ by }) => by))], ['two']);
  }

  const afterwards = load();
  victim.weft.child.kill('SIGCONT');
  await until(async () => (await listed()).join() === 'other,victim', 'it is listed again', LOOK_MS);
  await until(() => afterwards.outcomes.some(({ by }) => by === 'one'), 'it serves again');
  t.deepEqual(failures(await afterwards.stop()), [], 'its return costs no request');
  one.release();
  two.release();
  t.deepEqual(await Promise.all(kept), ['two', 'two']);
  t.deepEqual(counts(), [1]);
});
