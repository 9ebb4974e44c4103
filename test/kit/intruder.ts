import type { ExecutionContext } from 'ava';
import { connectBus } from '../../src/agent/link/bus.ts';
import { Link, type Serve } from '../../src/agent/link/link.ts';
import { Ear } from '../link/pair.ts';
import { MESH } from './mesh.ts';
import { createRootKeyring } from './root-keyring.ts';

/**
 * A link of an agent that takes part, for `workloads`, but does as it likes; what it joins it serves by `serve`.
 * `document` is its identity.
 */
export async function intrude(
  t: ExecutionContext,
  url: string,
  rootSeed: string,
  workloads: readonly string[],
  serve: Serve = () => new Ear(),
): Promise<Link & { readonly document: string }> {
  const bus = await connectBus({ servers: url }, { lost() {}, back() {} });
  t.teardown(() => bus.close());
  const keyring = createRootKeyring({ rootSeed, mesh: MESH, agent: 'intruder', workloads, now: Date.now });
  const link = new Link({
    keyring,
    wallMs: Date.now,
    now: () => performance.now(),
    serve,
    events: { fault() {}, refused() {}, served() {}, missing() {}, proven() {} },
  });
  link.attach(bus);
  return Object.assign(link, { document: keyring.document });
}
