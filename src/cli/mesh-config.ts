import { dirname, resolve } from 'node:path';
import { claimAgent, createClaims } from '../agent/claims.ts';
import { compileSchema } from '../agent/config-schema.ts';
import { uidFaults } from '../agent/uid-faults.ts';
import { type RawWorkload, resolveWorkload } from '../agent/workload-config.ts';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { ConfigError, type ConfigFault } from '../protocol/config-fault.ts';
import { parseDuration } from '../protocol/duration.ts';
import { LIMITS } from '../protocol/limits.ts';
import { readYamlDocument } from '../protocol/yaml-document.ts';

const NATS_PORT = 4222;

/** A whole mesh on one machine: mesh.yaml, checked. */
export interface MeshConfig {
  readonly mesh: string;
  /** A port for a server of our own (0: a free one), or servers that run already. */
  readonly nats: { readonly port: number } | { readonly servers: readonly string[]; readonly creds?: string };
  readonly agents: readonly MeshAgent[];
  readonly policies: readonly string[];
  /** Absent: that of the mesh's folder. */
  readonly defaultAction?: DefaultAction;
}

export interface MeshAgent {
  readonly host: string;
  readonly admin: string;
  readonly drainMs: number;
  /** What it speaks and serves for, `orders.default`. */
  readonly services: readonly string[];
  /** Agent.yaml without mesh and nats, as it stands in the file. */
  readonly file: object;
}

interface RawAgent {
  readonly host: string;
  readonly admin: string;
  readonly drain?: string;
  readonly workloads: readonly RawWorkload[];
}

interface RawMesh {
  readonly mesh: string;
  readonly nats?: { readonly port?: number; readonly servers?: readonly string[]; readonly creds?: string };
  readonly agents: readonly RawAgent[];
  readonly policies?: readonly string[];
  readonly authorization?: { readonly default: DefaultAction };
}

/**
 * Reads mesh.yaml. Relative paths in it start at its folder.
 * @throws ConfigError with everything that is wrong.
 */
export function readMeshConfig(text: string, file: string): MeshConfig {
  const document = readYamlDocument(text, file, compileSchema('mesh'));
  const claims = createClaims(document);
  const cannot: ConfigFault[] = [];
  const { agents: entries } = (document.value ?? {}) as { agents?: unknown };
  for (const [index, agent] of (Array.isArray(entries) ? entries : []).entries()) {
    claims.claim('host', '', ['agents', index, 'host'], agent?.host);
    claimAgent(agent, ['agents', index], claims);
    cannot.push(...uidFaults(agent, ['agents', index], document, process.platform));
  }
  const faults = [...document.faults, ...claims.faults, ...cannot];
  if (faults.length > 0) throw new ConfigError(faults);

  const { mesh, nats = {}, agents, policies = [], authorization } = document.value as RawMesh;
  const beside = (path: string) => resolve(dirname(file), path);
  const creds = nats.creds === undefined ? {} : { creds: beside(nats.creds) };
  return Object.freeze({
    mesh,
    nats: nats.servers === undefined ? { port: nats.port ?? NATS_PORT } : { servers: nats.servers, ...creds },
    agents: agents.map(meshAgent),
    policies: policies.map(beside),
    ...(authorization === undefined ? {} : { defaultAction: authorization.default }),
  });
}

function meshAgent(raw: RawAgent): MeshAgent {
  const drainMs = raw.drain === undefined ? LIMITS.drainMs : parseDuration(raw.drain)!;
  const services = raw.workloads.map((workload) => resolveWorkload(workload).service);
  return Object.freeze({ host: raw.host, admin: raw.admin, drainMs, services, file: raw });
}
