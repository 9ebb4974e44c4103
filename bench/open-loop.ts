import { fileURLToPath } from 'node:url';
import { measureCpu, perRequest, type Round } from './closed-loop.ts';
import type { OpenLoopFigures } from './open-loop-generator.ts';
import type { Path } from './paths.ts';
import type { Processes } from './processes.ts';

const GENERATOR = fileURLToPath(new URL('./open-loop-generator.ts', import.meta.url));
export const OPEN_LOOP_RATE = 1_000;
export const OPEN_LOOP_BODY_BYTES = 1_024;

export interface OpenLoopRound extends Omit<Round, 'connections'> {
  readonly lateP99Us: number;
}

/** 1,000 POST requests of 1 KB each second, whatever the answers do. @throws Error on any failed request. */
export async function openLoopRound(
  processes: Processes,
  path: Path,
  backendPid: number,
  seconds: number,
): Promise<OpenLoopRound> {
  const args = [GENERATOR, path.port, OPEN_LOOP_RATE, seconds, OPEN_LOOP_BODY_BYTES].map(String);
  const { result, backendNs, usedNs } = await measureCpu(path, backendPid, () =>
    processes.run(process.execPath, args, seconds * 1000 + 15_000),
  );
  const { requests, ...times } = JSON.parse(result) as OpenLoopFigures;
  return {
    path: path.name,
    requestsPerSecond: OPEN_LOOP_RATE,
    ...times,
    ...perRequest(usedNs, requests),
    backendCpuUs: backendNs / 1000 / requests,
  };
}
