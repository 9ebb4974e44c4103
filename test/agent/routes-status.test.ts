/** What is said of a route, by what two real agents have made of it (A9.11, A10). */
import test from 'ava';
import { startControllerProcess } from '../kit/controller-process.ts';
import { ask, startApplication, startMesh, until } from '../kit/mesh.ts';

interface Status {
  readonly parents: readonly {
    readonly parentRef: { readonly name: string };
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
      readonly observedGeneration: number;
    }[];
  }[];
}

const route = (path: string, backend: string) => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - matches: [{ path: { value: ${path} } }]
      backendRefs: [{ name: ${backend}, port: 80 }]
`;

test('A9.11 A10: the status of a route says what holds, and which of the agents that use it have applied it', async (t) => {
  t.timeout(120_000);
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const controller = await startControllerProcess(t, mesh);
  const application = await startApplication((_, response) => response.end('ok'));
  t.teardown(application.stop);
  await mesh.add('back', [{ service: 'orders.default', ports: [application.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  t.is((await ask(front.door, 'orders')).status, 200, 'the agent of the caller uses the service');

  /** `Accepted=True Accepted` by type, and the generation that was judged. */
  const status = async () => {
    const { stdout } = await controller.run('get', 'httproute', 'orders', '-o', 'json');
    const { parents } = (JSON.parse(stdout) as { status: Status }).status;
    t.deepEqual(
      parents.map(({ parentRef }) => parentRef.name),
      ['orders'],
    );
    return new Map(parents[0]?.conditions.map((condition) => [condition.type, condition]));
  };
  const said = async (type: string) => {
    const { status: is, reason, message } = (await status()).get(type) ?? {};
    return `${is} ${reason}: ${message}`;
  };

  await controller.applied(route('/a', 'orders'));
  t.is(await said('Accepted'), 'True Accepted: the route is accepted');
  t.is(await said('ResolvedRefs'), 'True ResolvedRefs: all references are resolved');
  t.is(await said('Programmed'), 'True Programmed: 2 of 2 agents have applied it');
  const generation = (await status()).get('Accepted')?.observedGeneration ?? 0;
  // What is said to be applied is what both do.
  t.deepEqual(
    [(await ask(front.door, 'orders', '/a')).status, (await ask(front.door, 'orders', '/b')).status],
    [200, 404],
  );

  await controller.applied(route('/b', 'missing'));
  t.regex(await said('Accepted'), /^True Accepted/);
  t.regex(await said('ResolvedRefs'), /^False BackendNotFound: .*missing/);
  t.true(((await status()).get('Accepted')?.observedGeneration ?? 0) > generation);
  t.deepEqual(
    [(await ask(front.door, 'orders', '/a')).status, (await ask(front.door, 'orders', '/b')).status],
    [404, 500],
  );

  await front.agent.stop();
  const one = async () => (await said('Programmed')) === 'True Programmed: 1 of 1 agents have applied it';
  await until(one, 'an agent that is gone is not counted');
  t.pass();
});
