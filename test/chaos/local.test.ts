/** What is called and served on one host, while the bus dies and nobody has said yet who else serves. */
import test from 'ava';
import { ask, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';

test('NATS dies under load again and again: what is served on the same host never notices', async (t) => {
  t.timeout(120_000);
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  /** Requests of the round that the application has and has not answered. */
  const held = new Set<() => void>();
  const application = await startApplication((incoming, response) => {
    incoming.resume();
    if (incoming.url === '/held') held.add(() => response.end('ok'));
    else response.end('ok');
  });
  t.teardown(application.stop);
  const { agent, door } = await mesh.add('both', [
    { service: 'checkout.default', calls: true },
    { service: 'local.default', ports: [application.port] },
  ]);
  const METHODS = ['GET', 'POST', 'GET', 'POST'];
  let stopped = false;
  /** By status, or the code of a failure. */
  const outcomes = new Map<string, number>();
  const note = ({ status, body }: { status: number; body: Buffer }) => {
    const outcome = status === 200 ? '200' : JSON.parse(body.toString()).code;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  const one = async (method: string, path: string) =>
    note(await ask(door, 'local', path, { method }, method === 'POST' ? 'body' : ''));
  const running = async (method: string) => {
    while (!stopped) await one(method, '/');
  };
  const load: Promise<void>[] = [];

  for (let kill = 0; kill < 3; kill++) {
    // The first of all are among them: of those somebody might want to find out who else serves.
    const under = METHODS.map((method) => one(method, '/held'));
    await until(() => held.size === under.length, 'the application has them');
    if (kill === 0) load.push(...METHODS.map(running));
    await mesh.nats.kill();
    await until(() => !agent.ready, 'the loss is noticed');
    for (const answer of held) answer();
    held.clear();
    await Promise.all(under);
    await mesh.nats.restart();
    await until(() => agent.ready, 'it is back');
  }
  stopped = true;
  await Promise.all(load);

  t.deepEqual((agent.publications() as { endpoints: object }).endpoints, {}, 'no list has ever come');
  t.deepEqual([...outcomes.keys()], ['200']);
  await until(() => quiet(agent), 'nothing is left');
});
