import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { SetupError } from './failure.mjs';

const LOOK_AGAIN_MS = 200;
const WAIT_MS_MAX = 900_000;

/**
 * Runs `work` while this process holds the lock file, so that two starts at once do not download everything
 * twice. It saves work only: nothing would break without it, because each step renames into place (S2). So a
 * lock whose owner is gone may simply be removed.
 * @template T
 * @param {string} file @param {(line: string) => void} say @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, say, work) {
  const startedAt = Date.now();
  let told = false;
  while (!take(file)) {
    const owner = ownerOf(file);
    if (!isAlive(owner)) {
      rmSync(file, { force: true });
      continue;
    }
    if (!told) say(`another set-up (process ${owner}) is at work here; waiting for it`);
    told = true;
    if (Date.now() - startedAt > WAIT_MS_MAX) {
      throw new SetupError(`Process ${owner} has held ${file} for too long. End it, or remove that file.`);
    }
    await wait(LOOK_AGAIN_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** @param {string} file */
function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} file */
function ownerOf(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
