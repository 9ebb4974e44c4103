import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MeshFolder } from './mesh-folder.ts';
import { startWeftChild, type WeftChild } from './weft-child.ts';

export interface AgentProcessOptions {
  readonly configFile: string;
  readonly rootFile: string;
  readonly logLevel: string;
  /** Every line that it writes to stderr: its log. */
  readonly onLine: (line: string) => void;
}

/** Starts an agent as a child, which ends with this process. */
export function startAgentProcess(options: AgentProcessOptions): WeftChild {
  const { configFile, rootFile, logLevel } = options;
  const args = ['agent', '-f', configFile, '--root', rootFile, '--log-level', logLevel];
  // For src/agent/garbage.ts, also where this process was started without it.
  return startWeftChild(args, options.onLine, ['--expose-gc']);
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
