import type { ConfigFault, FieldPath } from '../protocol/config-fault.ts';
import type { YamlPart } from '../protocol/yaml-document.ts';
import { isMapping } from './claims.ts';

/**
 * Finds each `uid` of an agent's workloads that could not be kept to. Like claims, it looks at documents that may have
 * other faults too.
 * @param platform as `process.platform`
 */
export function uidFaults(
  agent: unknown,
  path: FieldPath,
  document: YamlPart,
  platform: string,
): ConfigFault[] {
  if (!isMapping(agent) || !Array.isArray(agent.workloads)) return [];
  const faults: ConfigFault[] = [];
  for (const [index, workload] of agent.workloads.entries()) {
    if (!isMapping(workload) || workload.uid === undefined) continue;
    const expected = insteadOfUid(workload.listen, platform);
    if (expected !== undefined) faults.push(document.fault([...path, 'workloads', index, 'uid'], expected));
  }
  return faults;
}

/** What to write instead; undefined if the users of such a door can be told. */
function insteadOfUid(listen: unknown, platform: string): string | undefined {
  if (listen === undefined) return 'a door (listen) beside it: uid says whose processes may use that';
  if (isMapping(listen) || (typeof listen === 'string' && listen.startsWith('unix:'))) {
    return 'mode, owner and group of the socket instead: who has connected to a Unix socket is not told here, and who may is said by these';
  }
  if (platform === 'linux') return undefined;
  return `listen: { unix, mode, owner, group } instead: only Linux tells whose process has connected to a port, and this is ${platform}`;
}
