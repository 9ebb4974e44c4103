import { writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type AgentConfig, readAgentConfig } from '../agent/config.ts';
import { EXIT } from './exit.ts';
import { readConfigFile } from './read-config.ts';

/** What `weft agent` is to do, after its arguments and its files have been read and found good. */
export interface AgentPlan {
  readonly config: AgentConfig & { readonly data: string };
  /** The join token, or where it is, as it was written. Secret. */
  readonly join?: string;
  readonly logLevel: string;
}

export interface AgentOptions {
  readonly file: string;
  readonly join?: string;
  readonly logLevel: string;
}

/** Where the plan goes: a pipe, so that stdout and stderr stay the user's. */
const PLAN_FD = 3;

/**
 * Reads what an agent needs and hands it to the process that asked (plan-agent.ts).
 * @throws ConfigError, UsageError
 */
export async function writeAgentPlan(options: AgentOptions): Promise<number> {
  const { file, logLevel } = options;
  const config = readAgentConfig(await readConfigFile(file), file);
  const data = config.data ?? join(dirname(resolve(file)), '.weft', 'data', config.host);
  const plan: AgentPlan = {
    config: { ...config, data },
    ...(options.join === undefined ? {} : { join: options.join }),
    logLevel,
  };
  writeFileSync(PLAN_FD, JSON.stringify(plan));
  return EXIT.done;
}
