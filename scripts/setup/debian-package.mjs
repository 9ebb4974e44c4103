import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { verifyChecksum } from './checksum.mjs';
import { candidateLines, readFields, readListFile, readSourcesFile } from './debian-mirror.mjs';
import { SetupError } from './failure.mjs';
import { findOnPath, run } from './program.mjs';

/**
 * Fetches nats-server from the machine's own Debian mirror and unpacks it, without installing anything. apt
 * does the work in folders of its own, so it verifies signatures and checksums and knows the machine's proxy,
 * while the system's package sources and lists stay as they are.
 * @param {{ tools: string, place: string, isRecentEnough: (file: string) => boolean, say: (line: string) => void }} parts
 */
export async function fetchFromDebian({ tools, place, isRecentEnough, say }) {
  for (const program of ['apt-get', 'dpkg', 'dpkg-deb']) {
    if (findOnPath(program, process.env.PATH ?? '').length === 0)
      throw new SetupError(`there is no ${program} here`);
  }
  const candidates = candidateLines(configuredSources('/etc/apt'));
  if (candidates.length === 0) throw new SetupError('apt is not configured with a Debian mirror');
  const failures = [];
  for (const { suite, line } of candidates) {
    say(`looking into Debian ${suite}`);
    const folder = mkdtempSync(join(tools, 'tmp-'));
    try {
      renameSync(fetchFrom(line, folder, isRecentEnough), place);
      return;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failures.push(`${suite}: ${error.message}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  throw new SetupError(failures.join('; '));
}

/** @param {string} folder apt's configuration folder */
function configuredSources(folder) {
  const parts = join(folder, 'sources.list.d');
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  const main = join(folder, 'sources.list');
  return [...(existsSync(main) ? [main] : []), ...files.sort()].flatMap((file) => {
    if (file.endsWith('.sources')) return readSourcesFile(readFileSync(file, 'utf8'));
    return file.endsWith('.list') ? readListFile(readFileSync(file, 'utf8')) : [];
  });
}

/**
 * @param {string} line a one-line source @param {string} folder @param {(file: string) => boolean} isRecentEnough
 * @returns {string} the program, unpacked below `folder`
 */
function fetchFrom(line, folder, isRecentEnough) {
  const options = privateFolders(folder, line);
  must(run('apt-get', [...options, 'update'], { cwd: folder }), 'its index cannot be had');
  const shown = run('apt-cache', [...options, 'show', '--no-all-versions', 'nats-server'], { cwd: folder });
  const fields = readFields(shown.output.split('\n\n')[0] ?? '');
  checkLibc(fields.get('depends') ?? '');
  must(run('apt-get', [...options, 'download', 'nats-server'], { cwd: folder }), 'the package cannot be had');
  const name = readdirSync(folder).find((file) => file.endsWith('.deb'));
  if (name === undefined) throw new SetupError('apt-get left no package');
  verifyChecksum(join(folder, name), fields.get('sha256') ?? '');
  must(run('dpkg-deb', ['--extract', name, 'unpacked'], { cwd: folder }), 'the package cannot be unpacked');
  const program = join(folder, 'unpacked', 'usr', 'sbin', 'nats-server');
  if (!isRecentEnough(program))
    throw new SetupError(`version ${fields.get('version')} is too old or does not run here`);
  return program;
}

/** @param {string} folder @param {string} line */
function privateFolders(folder, line) {
  for (const name of ['lists/partial', 'cache/archives/partial', 'none']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  writeFileSync(join(folder, 'source.list'), `${line}\n`);
  writeFileSync(join(folder, 'status'), '');
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'source.list'),
    'Dir::Etc::sourceparts': join(folder, 'none'),
    'Dir::Etc::preferences': join(folder, 'none', 'preferences'),
    'Dir::Etc::preferencesparts': join(folder, 'none'),
    'Dir::State': folder,
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Acquire::Languages': 'none',
    // apt's own user may not be let into a checkout.
    'APT::Sandbox::User': '',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** @param {string} depends the Depends field of a package */
function checkLibc(depends) {
  const needed = libcNeeded(depends);
  if (needed === undefined) return;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
  const here = run('dpkg-query', ['--show', '--showformat=${Version}', 'libc6']).output.trim();
  if (here === '' || run('dpkg', ['--compare-versions', here, 'ge', needed]).ok) return;
  throw new SetupError(`it needs libc6 ${needed}, this machine has ${here}`);
}

/**
 * The libc6 version that a Depends field asks for.
 * @param {string} depends
 */
export function libcNeeded(depends) {
  return /(?:^|,)\s*libc6\s*\(>=\s*([^)\s]+)\s*\)/.exec(depends)?.[1];
}

/** @param {{ ok: boolean, errors: string }} result @param {string} what */
function must(result, what) {
  if (result.ok) return;
  const reason = result.errors
    .split('\n')
    .filter((line) => /^[EW]:/.test(line))
    .slice(0, 2)
    .join(' ');
  throw new SetupError(`${what} (${reason || result.errors.slice(0, 300)})`);
}
