import type { AgentConfig } from '../config.ts';

/** How a host gets an identity that names all its workloads. */
export function tokenAdvice({ host, workloads }: Pick<AgentConfig, 'host' | 'workloads'>): string {
  const names = workloads.map(({ service }) => service).join(',');
  return `make a token with \`weft token create --host ${host} --workloads ${names}\` and start the agent with it (WEFT_JOIN_TOKEN, --join)`;
}
