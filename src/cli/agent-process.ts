import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { MeshFolder } from './mesh-folder.ts';
import type { Child } from './supervise.ts';

/** The command beside this file: weft.ts in a checkout, weft.js in a package. */
const WEFT = fileURLToPath(new URL(`./weft${extname(import.meta.url)}`, import.meta.url));

export interface AgentProcessOptions {
  readonly configFile: string;
  readonly rootFile: string;
  readonly logLevel: string;
  /** Every line that it writes to stderr: its log. */
  readonly onLine: (line: string) => void;
}

/** Starts an agent as a child; it ends by itself when this process is gone, because its stdin ends then. */
export function startAgentProcess(
  options: AgentProcessOptions,
): Child & { readonly pid: number | undefined } {
  const { configFile, rootFile, logLevel } = options;
  const args = [WEFT, 'agent', '-f', configFile, '--root', rootFile, '--log-level', logLevel];
  // For src/agent/garbage.ts, also where this process was started without it.
  const child = spawn(process.execPath, ['--expose-gc', ...process.execArgv, ...args], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, WEFT_PARENT: 'stdin' },
    // Ctrl-C reaches the whole foreground group; an agent would take it and our SIGTERM for two signals.
    detached: true,
  });
  child.stdin.on('error', () => {});
  createInterface({ input: child.stderr }).on('line', options.onLine);
  const exited = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once('error', (error) => resolve(error.message));
  });
  return Object.freeze({ pid: child.pid, exited, signal: (name: NodeJS.Signals) => void child.kill(name) });
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
