import { dirname, resolve } from 'node:path';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { ConfigError } from '../protocol/config-fault.ts';
import { parseDuration } from '../protocol/duration.ts';
import { documentExcess } from '../protocol/identity.ts';
import { LIMITS } from '../protocol/limits.ts';
import { readYamlDocument } from '../protocol/yaml-document.ts';
import { type HostPort, type ListenAddress, parseListen, parseLoopback, type RawListen } from './address.ts';
import { claimAgent, createClaims } from './claims.ts';
import { compileSchema } from './config-schema.ts';
import { uidFaults } from './uid-faults.ts';
import { type RawWorkload, resolveWorkload, type WorkloadConfig } from './workload-config.ts';

export type { HostPort, ListenAddress } from './address.ts';
export type { HealthConfig, WorkloadConfig } from './workload-config.ts';

/** What one agent is to do: agent.yaml, checked and resolved. */
export interface AgentConfig {
  readonly mesh: string;
  readonly host: string;
  readonly nats: { readonly servers: readonly string[]; readonly creds: string | undefined };
  readonly admin: HostPort;
  /** The door for callers without identity, if there is one. */
  readonly listen: ListenAddress | undefined;
  readonly drainMs: number;
  /** The folder for what the agent keeps, if the configuration names one. */
  readonly data: string | undefined;
  /** What becomes of requests to a service that is served here while no signed snapshot of it is held. */
  readonly defaultAction: DefaultAction;
  readonly workloads: readonly WorkloadConfig[];
}

/** An agent.yaml that the schema has let pass. */
interface RawAgent {
  readonly mesh: string;
  readonly host: string;
  readonly nats: { readonly servers: readonly string[]; readonly creds?: string };
  readonly admin: string;
  readonly listen?: RawListen;
  readonly drain?: string;
  readonly data?: string;
  readonly authorization?: { readonly default: DefaultAction };
  readonly workloads: readonly RawWorkload[];
}

/**
 * Reads agent.yaml. Relative paths in it start at its folder.
 * @param file its name, for messages and relative paths.
 * @param platform as `process.platform`: not every one can do everything.
 * @throws ConfigError with everything that is wrong.
 */
export function readAgentConfig(
  text: string,
  file: string,
  platform: string = process.platform,
): AgentConfig {
  const document = readYamlDocument(text, file, compileSchema('agent'));
  const claims = createClaims(document);
  claimAgent(document.value, [], claims);
  const faults = [...document.faults, ...claims.faults, ...uidFaults(document.value, [], document, platform)];
  if (faults.length > 0) throw new ConfigError(faults);

  const raw = document.value as RawAgent;
  const workloads = raw.workloads.map(resolveWorkload);
  const services = workloads.map(({ service }) => service);
  if (documentExcess(raw.mesh, raw.host, services) > 0) {
    let fit = services.length - 1;
    while (documentExcess(raw.mesh, raw.host, services.slice(0, fit)) > 0) fit -= 1;
    const expected = `at most the first ${fit}: an agent's identity names them all and has to fit one packet`;
    throw new ConfigError([document.fault(['workloads'], expected)]);
  }
  const besideFile = (path: string | undefined) => (path === undefined ? path : resolve(dirname(file), path));
  return Object.freeze({
    mesh: raw.mesh,
    host: raw.host,
    nats: Object.freeze({ servers: Object.freeze([...raw.nats.servers]), creds: besideFile(raw.nats.creds) }),
    admin: parseLoopback(raw.admin)!,
    listen: raw.listen === undefined ? undefined : parseListen(raw.listen),
    drainMs: raw.drain === undefined ? LIMITS.drainMs : parseDuration(raw.drain)!,
    data: besideFile(raw.data),
    defaultAction: raw.authorization?.default ?? 'deny',
    workloads: Object.freeze(workloads),
  });
}
