import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checksumOf, verifyChecksum } from './checksum.mjs';
import { SetupError } from './failure.mjs';
import { findOnPath, run } from './program.mjs';

const VERSION = 'v2.10.27';
const RELEASE = `https://github.com/nats-io/nats-server/releases/download/${VERSION}`;
const ARCHITECTURES = new Map([
  ['x64', 'amd64'],
  ['arm64', 'arm64'],
]);
const DOWNLOAD_MS_MAX = 300_000;
const BYTES_MAX = 64 * 1024 * 1024;

/**
 * Fetches nats-server from the project's own release, checked against the checksums published with it.
 * @param {{ tools: string, place: string, isRecentEnough: (file: string) => boolean }} parts
 */
export async function fetchRelease({ tools, place, isRecentEnough }) {
  const arch = ARCHITECTURES.get(process.arch);
  if (arch === undefined || !['linux', 'darwin'].includes(process.platform)) {
    throw new SetupError(`there is none that this knows for ${process.platform} ${process.arch}`);
  }
  const folderName = `nats-server-${VERSION}-${process.platform}-${arch}`;
  const folder = mkdtempSync(join(tools, 'tmp-'));
  try {
    const sums = join(folder, 'SHA256SUMS');
    const archive = join(folder, `${folderName}.tar.gz`);
    await download(`${RELEASE}/SHA256SUMS`, sums);
    await download(`${RELEASE}/${folderName}.tar.gz`, archive);
    verifyChecksum(archive, checksumOf(readFileSync(sums, 'utf8'), `${folderName}.tar.gz`));
    const unpacked = run('tar', ['-xzf', archive, '-C', folder, `${folderName}/nats-server`]);
    if (!unpacked.ok) throw new SetupError(`tar cannot unpack it: ${unpacked.errors}`);
    const program = join(folder, folderName, 'nats-server');
    if (!isRecentEnough(program)) throw new SetupError(`${folderName} does not run on this machine`);
    renameSync(program, place);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} url @param {string} file */
async function download(url, file) {
  // Node 20's fetch knows nothing of http_proxy; curl does, where it is installed.
  const [curl] = findOnPath('curl', process.env.PATH ?? '');
  if (curl === undefined) return downloadWithFetch(url, file);
  const limits = ['--max-time', String(DOWNLOAD_MS_MAX / 1000), '--max-filesize', String(BYTES_MAX)];
  const options = ['--fail', '--silent', '--show-error', '--location', '--proto', '=https', ...limits];
  const result = run(curl, [...options, '--output', file, url]);
  if (!result.ok) throw new SetupError(`${url}: ${result.errors}`);
}

/** @param {string} url @param {string} file */
async function downloadWithFetch(url, file) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_MS_MAX) });
    if (!response.ok) throw new SetupError(`${url} answered ${response.status}`);
    if (Number(response.headers.get('content-length') ?? 0) > BYTES_MAX)
      throw new SetupError(`${url} is too large`);
    writeFileSync(file, Buffer.from(await response.arrayBuffer()));
  } catch (error) {
    if (error instanceof SetupError) throw error;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw new SetupError(`${url} cannot be reached: ${cause}`);
  }
}
