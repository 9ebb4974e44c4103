/** Agents that are enrolled as a host is: with a token, keys of their own and a data folder. In this process, and silent. */
import type { ExecutionContext } from 'ava';
import { pino } from 'pino';
import { createAgent } from '../../src/agent/agent.ts';
import type { AgentConfig } from '../../src/agent/config.ts';
import type { Membership } from '../../src/agent/trust/membership.ts';
import { agentIdentity } from '../../src/cli/agent-identity.ts';
import { freePort } from './free-port.ts';
import { MESH, type TestAgent, type TestWorkload } from './mesh.ts';

export interface EnrolledAgent extends TestAgent {
  /** What it has logged. */
  readonly log: readonly Record<string, unknown>[];
  readonly membership: Membership;
  start(): Promise<void>;
}

/** @param joinToken undefined: it has to have an identity in `data` */
export async function enrolledAgent(
  t: ExecutionContext,
  url: string,
  data: string,
  host: string,
  workloads: readonly TestWorkload[],
  joinToken?: string,
): Promise<EnrolledAgent> {
  const resolved: AgentConfig['workloads'] = await Promise.all(
    workloads.map(async ({ service, ports = [], calls = false, health }) => ({
      service,
      upstream: ports.map((port) => ({ host: '127.0.0.1', port })),
      listen: calls ? { host: '127.0.0.1', port: await freePort() } : undefined,
      uid: undefined,
      health,
      labels: {},
    })),
  );
  const config = {
    mesh: MESH,
    host,
    nats: { servers: [url], creds: undefined },
    admin: { host: '127.0.0.1', port: 1 },
    listen: undefined,
    drainMs: 2_000,
    // No controller publishes snapshots here.
    defaultAction: 'allow' as const,
    data,
    workloads: resolved,
  };
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const membership = await agentIdentity({ config, joinToken, log });
  const { keyring } = membership;
  const agent = createAgent({
    config,
    keyring,
    membership,
    natsSeed: () => keyring.keys.seed,
    log,
    random: () => 0,
  });
  t.teardown(() => agent.stop());
  const listen = resolved.find((one) => one.listen !== undefined)?.listen;
  return {
    agent,
    door: listen !== undefined && 'port' in listen ? listen.port : 0,
    log: lines,
    membership,
    start: () => agent.start(),
  };
}
