import { type ConfigFault, type FieldPath, shownValue } from '../protocol/config-fault.ts';
import { DEFAULT_NAMESPACE, parseServiceName } from '../protocol/names.ts';
import type { YamlDocument } from '../protocol/yaml-document.ts';

/**
 * Finds what is claimed twice: one address for two doors, one service for two workloads. It looks at documents
 * that may have other faults too, so that all are reported at once, and so it takes nothing for granted.
 */
export interface Claims {
  /** @param scope where it must be unique: `''`, or the agent that it belongs to. */
  claim(kind: string, scope: string, path: FieldPath, key: unknown): void;
  readonly faults: readonly ConfigFault[];
}

export function createClaims(document: YamlDocument): Claims {
  const holders = new Map<string, string>();
  const faults: ConfigFault[] = [];
  return Object.freeze({
    claim(kind: string, scope: string, path: FieldPath, key: unknown) {
      if (typeof key !== 'string') return;
      const claimed = `${kind}\0${scope}\0${key}`;
      const holder = holders.get(claimed);
      const own = document.fault(path, `another ${kind}: ${holder} has this one`, shownValue(key));
      if (holder !== undefined) faults.push(own);
      else holders.set(claimed, `${own.field} in line ${own.line}`);
    },
    faults,
  });
}

/** Claims what an agent's part of agent.yaml or mesh.yaml names. All agents of one file share a machine. */
export function claimAgent(agent: unknown, path: FieldPath, claims: Claims): void {
  if (!isMapping(agent)) return;
  claims.claim('address', '', [...path, 'admin'], agent.admin);
  claims.claim('address', '', [...path, 'listen'], listenText(agent.listen));
  if (!Array.isArray(agent.workloads)) return;
  for (const [index, workload] of agent.workloads.entries()) {
    if (!isMapping(workload)) continue;
    const at = [...path, 'workloads', index];
    claims.claim('address', '', [...at, 'listen'], listenText(workload.listen));
    claims.claim('service', path.join('.'), [...at, 'service'], canonicalService(workload.service));
  }
}

/** `orders.default` of `orders`, `orders.default` and `{name: orders}`; undefined for what names no service. */
export function canonicalService(service: unknown): string | undefined {
  if (typeof service === 'string') return parseServiceName(service);
  if (!isMapping(service)) return undefined;
  return parseServiceName(`${service.name}.${service.namespace ?? DEFAULT_NAMESPACE}`);
}

/** `unix:/path` of both ways to write it. */
function listenText(listen: unknown): unknown {
  return isMapping(listen) ? `unix:${listen.unix}` : listen;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
