import { spawnSync } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentPlan } from './agent-plan.ts';
import { EXIT } from './exit.ts';

const PLANNER = fileURLToPath(new URL(`./agent-plan-process${extname(import.meta.url)}`, import.meta.url));
const PLAN_FD = 3;
/** The resolved form of a configuration of at most 1 MiB. */
const PLAN_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Has a short-lived child read the arguments and the configuration: the parsers for both (commander, yaml, ajv)
 * would cost a resident agent 7 MiB. The child has told the user whatever was wrong.
 * @returns the plan, or the exit code if there is none (also for --help).
 */
export function planAgent(argv: readonly string[]): AgentPlan | number {
  const planner = spawnSync(process.execPath, [PLANNER, ...argv], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    maxBuffer: PLAN_BYTES_MAX,
    encoding: 'utf8',
  });
  if (planner.error !== undefined) throw planner.error;
  const written = planner.output[PLAN_FD];
  if (planner.status !== EXIT.done || !written) return planner.status ?? EXIT.refused;
  return JSON.parse(written) as AgentPlan;
}
