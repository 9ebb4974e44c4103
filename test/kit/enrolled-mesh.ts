/** Two hosts that are enrolled: `front` calls, `back` serves. */
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createRoot } from '../../src/protocol/root.ts';
import { type EnrolledAgent, enrolledAgent } from './enrolled-agent.ts';
import { type Granter, startGranter } from './granter.ts';
import { ask, startApplication, until } from './mesh.ts';
import { startNats, type TestNats } from './nats-server.ts';
import { tempFolder } from './temp-folder.ts';

export const ORDERS = 'orders.default';
export const CHECKOUT = 'checkout.default';

export interface EnrolledMesh {
  readonly nats: TestNats;
  readonly seed: string;
  readonly granter: Granter;
  readonly back: EnrolledAgent;
  readonly front: EnrolledAgent;
  /** One more that serves, `back` again for one that has stopped. */
  serving(host: string): Promise<EnrolledAgent>;
  /** A host that is enrolled for CHECKOUT, and whose agent has not been started. */
  enrolled(host: string): Promise<EnrolledAgent>;
  /** Requests that the application has been asked. */
  requests(): number;
  /** Status and body, or the code of the error. */
  call(method?: string): Promise<string>;
}

/** @param lifeMs of the identities that are issued */
export async function startEnrolledMesh(t: ExecutionContext, lifeMs?: number): Promise<EnrolledMesh> {
  const nats = await startNats();
  t.teardown(nats.stop);
  const { seed } = createRoot();
  const granter = await startGranter(t, nats.url, seed);
  if (lifeMs !== undefined) granter.settings.lifeMs = lifeMs;
  let requests = 0;
  const application = await startApplication((request, response) => {
    requests += 1;
    response.write('served');
    // What is asked for /hold stays open until its caller goes.
    if (request.url !== '/hold') response.end();
  });
  t.teardown(application.stop);
  const data = await tempFolder(t);
  const serving = async (host: string) => {
    const workloads = [{ service: ORDERS, ports: [application.port] }];
    const agent = await enrolledAgent(
      t,
      nats.url,
      join(data, host),
      host,
      workloads,
      granter.invite(host, [ORDERS]),
    );
    await agent.start();
    await until(() => granter.introductionOf(host) !== undefined, `${host} has said who it is`);
    return agent;
  };
  const back = await serving('back');
  await granter.publishList(ORDERS, ['back']);
  const enrolled = (host: string) =>
    enrolledAgent(
      t,
      nats.url,
      join(data, host),
      host,
      [{ service: CHECKOUT, calls: true }],
      granter.invite(host, [CHECKOUT]),
    );
  const front = await enrolled('front');
  await front.start();
  return {
    nats,
    seed,
    granter,
    back,
    front,
    serving,
    enrolled,
    requests: () => requests,
    async call(method = 'GET') {
      const { status, body } = await ask(front.door, 'orders', '/', { method });
      return `${status} ${status === 200 ? body : JSON.parse(body.toString()).code}`;
    },
  };
}
