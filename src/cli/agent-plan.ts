import { writeFileSync } from 'node:fs';
import { type AgentConfig, readAgentConfig } from '../agent/config.ts';
import { EXIT } from './exit.ts';
import { findRootFile, readRootFile } from './mesh-folder.ts';
import { readConfigFile } from './read-config.ts';

/** What `weft agent` is to do, after its arguments and its files have been read and found good. */
export interface AgentPlan {
  readonly config: AgentConfig;
  readonly rootFile: string;
  readonly logLevel: string;
}

export interface AgentOptions {
  readonly file: string;
  readonly root?: string;
  readonly logLevel: string;
}

/** Where the plan goes: a pipe, so that stdout and stderr stay the user's. */
const PLAN_FD = 3;

/**
 * Reads what an agent needs and hands it to the process that asked (plan-agent.ts).
 * @throws ConfigError, UsageError
 */
export async function writeAgentPlan(options: AgentOptions): Promise<number> {
  const config = readAgentConfig(await readConfigFile(options.file), options.file);
  const rootFile = await findRootFile(options.root ?? config.root, options.file, process.cwd());
  await readRootFile(rootFile);
  const plan: AgentPlan = { config, rootFile, logLevel: options.logLevel };
  writeFileSync(PLAN_FD, JSON.stringify(plan));
  return EXIT.done;
}
