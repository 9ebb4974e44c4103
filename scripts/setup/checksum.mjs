import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SetupError } from './failure.mjs';

/**
 * Refuses a file whose SHA-256 is not the expected one.
 * @param {string} file @param {string} expected 64 hexadecimal digits
 */
export function verifyChecksum(file, expected) {
  if (!/^[0-9a-f]{64}$/i.test(expected)) throw new SetupError(`"${expected}" is not a SHA-256 checksum`);
  const actual = createHash('sha256').update(readFileSync(file)).digest('hex');
  if (actual === expected.toLowerCase()) return;
  throw new SetupError(`what arrived is not what was announced: SHA-256 ${actual}, expected ${expected}`);
}

/**
 * The checksum of one file in a SHA256SUMS text (`digest  name`, or `digest *name`).
 * @param {string} text @param {string} name
 */
export function checksumOf(text, name) {
  for (const line of text.split('\n')) {
    const [, digest, file] = /^([0-9a-f]{64}) [ *](.+)$/i.exec(line.trim()) ?? [];
    if (digest !== undefined && file === name) return digest;
  }
  throw new SetupError(`its list of checksums does not name ${name}`);
}
