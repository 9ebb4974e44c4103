import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MeshFolder } from './mesh-folder.ts';
import { startWeftChild, type WeftChild } from './weft-child.ts';

export interface AgentProcessOptions {
  readonly configFile: string;
  /** What it joins the mesh with, if it has no identity yet. Secret. */
  readonly joinToken: string | undefined;
  readonly logLevel: string;
  /** Every line that it writes to stderr: its log. */
  readonly onLine: (line: string) => void;
}

/** Starts an agent as a child, which ends with this process. */
export function startAgentProcess(options: AgentProcessOptions): WeftChild {
  const { configFile, joinToken, logLevel } = options;
  const args = ['agent', '-f', configFile, '--log-level', logLevel];
  const secrets = joinToken === undefined ? {} : { WEFT_JOIN_TOKEN: joinToken };
  // For src/agent/garbage.ts, also where this process was started without it.
  return startWeftChild(args, options.onLine, { nodeArgs: ['--expose-gc'], secrets });
}

/** Writes the agent.yaml of a child, as JSON, which is YAML. Resolves with its path. */
export async function writeAgentFile(
  folder: MeshFolder,
  agent: { readonly host: string; readonly [field: string]: unknown },
): Promise<string> {
  const files = join(folder.path, 'agents');
  await mkdir(files, { recursive: true, mode: 0o700 });
  const file = join(files, `${agent.host}.json`);
  await writeFile(file, `${JSON.stringify(agent, null, 2)}\n`, { mode: 0o600 });
  return file;
}
