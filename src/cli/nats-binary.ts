import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OLDEST = [2, 10] as const;

/** True for `nats-server: v2.10.27` and newer; JetStream's KV needs 2.10. */
export function isRecentEnough(versionText: string): boolean {
  const [, major, minor] = /v(\d{1,5})\.(\d{1,5})\./.exec(versionText) ?? [];
  if (major === undefined || minor === undefined) return false;
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
}

/**
 * The nats-server to run: the first on PATH that is recent enough, else the one of the checkout's `.tools/`.
 * @throws Error that says what was found and what to do.
 */
export async function findNatsServer(path: string): Promise<string> {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  const candidates = folders.map((folder) => join(folder, 'nats-server'));
  candidates.push(fileURLToPath(new URL('../../.tools/nats-server', import.meta.url)));
  const tooOld: string[] = [];
  for (const candidate of candidates) {
    const there = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!there) continue;
    const version = await run(candidate, ['--version'], { timeout: 5_000 }).then(
      ({ stdout }) => stdout.trim(),
      (error: Error) => `does not run: ${error.message}`,
    );
    if (isRecentEnough(version)) return candidate;
    tooOld.push(`${candidate} (${version})`);
  }
  const found = tooOld.length === 0 ? 'none found' : `found only ${tooOld.join(', ')}`;
  throw new Error(
    `nats-server 2.10 or newer is needed on PATH or in .tools/: ${found}. ` +
      'Run `npm start` in a checkout to fetch one, install it, or name a running one with nats.servers.',
  );
}
