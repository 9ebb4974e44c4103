import { copyFileSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './failure.mjs';
import { npmReason, runNpm } from './program.mjs';

/**
 * Makes `node_modules/` hold what package-lock.json names.
 * @param {{ root: string, tools: string, say: (line: string) => void }} parts
 */
export function provideDependencies({ root, tools, say }) {
  const lockFile = join(root, 'package-lock.json');
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  const wanted = readFileSync(lockFile, 'utf8');
  const installed = existsSync(installedFile) ? readFileSync(installedFile, 'utf8') : '{}';
  const missing = missingPackages(wanted, installed);
  if (missing.length === 0) return;
  say(`installing npm dependencies (${missing.length} are missing or of another version)`);
  const folder = mkdtempSync(join(tools, 'tmp-'));
  try {
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      if (existsSync(join(root, name))) copyFileSync(join(root, name), join(folder, name));
    }
    // No dependency of ours needs an install script, so none is run.
    const result = runNpm(['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund'], folder);
    if (!result.ok) {
      throw new SetupError(
        `npm could not install the dependencies:\n${npmReason(result.errors)}\n` +
          'Check that this machine reaches its npm registry (`npm ping`), then run this again.',
      );
    }
    replaceFolder(join(folder, 'node_modules'), join(root, 'node_modules'), join(folder, 'replaced'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The packages that a lock file asks for and that npm has not recorded as installed in that version. npm keeps
 * that record in `node_modules/.package-lock.json`, so an install by hand counts as well.
 * @param {string} wantedText package-lock.json @param {string} installedText its counterpart in node_modules
 */
export function missingPackages(wantedText, installedText) {
  const wanted = packagesOf(wantedText);
  const installed = packagesOf(installedText);
  return Object.keys(wanted).filter((path) => {
    if (path === '' || wanted[path]?.link) return false;
    const there = installed[path];
    // An optional package is for another platform, or is there.
    if (there === undefined)
      return !(wanted[path]?.optional || wanted[path]?.devOptional || wanted[path]?.peer);
    return there.version !== wanted[path]?.version || there.integrity !== wanted[path]?.integrity;
  });
}

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean, peer?: boolean, link?: boolean }} Package
 * @param {string} text @returns {Record<string, Package>}
 */
function packagesOf(text) {
  return JSON.parse(text).packages ?? {};
}

/** @param {string} from @param {string} to @param {string} aside */
function replaceFolder(from, to, aside) {
  if (existsSync(to)) renameSync(to, aside);
  renameSync(from, to);
}
