import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import test from 'ava';
import { startControllerProcess } from '../kit/controller-process.ts';
import { ask, quiet, startApplication, startMesh, until } from '../kit/mesh.ts';
import { tempFolder } from '../kit/temp-folder.ts';

/** A hundred requests a second show every gap, and leave the machine to what restarts. */
const LOAD_PAUSE_MS = 10;
/** Between two looks that are a process each. */
const LOOK_MS = 200;

type Part = 'controller' | 'nats';

const ORDERS: readonly (readonly [Part[], Part[]])[] = [
  [['controller'], ['controller']],
  [['nats'], ['nats']],
  [
    ['controller', 'nats'],
    ['nats', 'controller'],
  ],
  [
    ['controller', 'nats'],
    ['controller', 'nats'],
  ],
  [
    ['nats', 'controller'],
    ['controller', 'nats'],
  ],
  [
    ['nats', 'controller'],
    ['nats', 'controller'],
  ],
];

test('controller and NATS may be killed and restarted in every order: who needs neither notices nothing, and all recovers', async (t) => {
  t.timeout(300_000);
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const controller = await startControllerProcess(t, mesh);
  const application = await startApplication((_, response) => response.end('ok'));
  t.teardown(application.stop);
  // A mesh on one host needs neither for its own requests; the other host needs NATS.
  const both = await mesh.add('both', [
    { service: 'checkout.default', calls: true },
    { service: 'local.default', ports: [application.port] },
  ]);
  await mesh.add('far', [{ service: 'orders.default', ports: [application.port] }]);
  const parts = {
    controller: { kill: controller.kill, restart: controller.restart },
    nats: { kill: mesh.nats.kill, restart: mesh.nats.restart },
  };
  await until(async () => (await controller.check()) === 0, 'the mesh is in order', LOOK_MS);

  let stopped = false;
  /** By status, or the code of a failure. */
  const outcomes = new Map<string, number>();
  const load = (async () => {
    while (!stopped) {
      const { status, body } = await ask(both.door, 'local');
      const outcome = status === 200 ? '200' : body.toString();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      await wait(LOAD_PAUSE_MS);
    }
  })();
  for (const [killed, restarted] of ORDERS) {
    for (const part of killed) await parts[part].kill();
    for (const part of restarted) await parts[part].restart();
    await until(
      async () => (await ask(both.door, 'orders')).status === 200,
      `${killed} are back for requests`,
    );
    await until(
      async () => (await controller.check()) === 0,
      `weft check is clean after ${killed} and ${restarted}`,
      LOOK_MS,
    );
  }
  const route = join(await tempFolder(t), 'route.yaml');
  await writeFile(
    route,
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: local }
spec:
  parentRefs: [{ group: "", kind: Service, name: local }]
  rules:
    - filters:
        - type: ResponseHeaderModifier
          responseHeaderModifier: { set: [{ name: x-route, value: applied }] }
`,
  );
  t.is(await controller.apply(route), 0);
  await until(
    async () => (await ask(both.door, 'local')).headers['x-route'] === 'applied',
    'the agent is at the current revision',
  );
  stopped = true;
  await load;

  t.deepEqual([...outcomes.keys()], ['200']);
  t.true((outcomes.get('200') ?? 0) > 100);
  await until(() => quiet(both.agent), 'nothing is left');
});
