import { join } from 'node:path';
import { fetchFromDebian } from './debian-package.mjs';
import { SetupError } from './failure.mjs';
import { findOnPath, isExecutable, run } from './program.mjs';
import { fetchRelease } from './release.mjs';
import { isAtLeast } from './version.mjs';

/** JetStream's key-value store as Weft uses it needs 2.10. */
const OLDEST = /** @type {const} */ ([2, 10]);

/**
 * The path of a nats-server that is new enough: from PATH, `.tools/`, the system's packages, the official release.
 * @param {{ tools: string, path: string, say: (line: string) => void }} parts
 */
export async function provideNatsServer({ tools, path, say }) {
  const place = join(tools, 'nats-server');
  const there = [...findOnPath('nats-server', path), place].find(isRecentEnough);
  if (there !== undefined) return there;

  const failures = [];
  for (const [source, fetchInto] of /** @type {const} */ ([
    ["this system's package mirror", fetchFromDebian],
    ['the official release', fetchRelease],
  ])) {
    say(`fetching nats-server from ${source}`);
    try {
      await fetchInto({ tools, place, isRecentEnough, say });
      return place;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failures.push(`- ${source}: ${error.message}`);
    }
  }
  const advice =
    process.platform === 'darwin' ? 'brew install nats-server' : 'docs.nats.io/running-a-nats-service';
  throw new SetupError(
    `nats-server 2.10 or newer is needed and could not be had:\n${failures.join('\n')}\n` +
      `Install it (${advice}) so that it is on PATH, then run this again.`,
  );
}

/** @param {string} file */
function isRecentEnough(file) {
  return isExecutable(file) && isAtLeast(run(file, ['--version'], { timeoutMs: 10_000 }).output, OLDEST);
}
