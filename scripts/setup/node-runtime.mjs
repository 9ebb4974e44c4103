import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError } from './failure.mjs';
import { isExecutable, npmReason, run, runNpm } from './program.mjs';
import { isAtLeast } from './version.mjs';

/** Node 24 is the first long-term release that runs TypeScript by stripping types. */
const OLDEST = /** @type {const} */ ([24, 0]);
const WANTED = '24';

/**
 * The path of a Node that is new enough: the running one, else `.tools/node`, else one fetched with npm.
 * @param {{ tools: string, say: (line: string) => void }} parts
 */
export function provideNode({ tools, say }) {
  if (isAtLeast(process.version, OLDEST)) return process.execPath;
  const place = join(tools, 'node', 'bin', 'node');
  if (isUsable(place)) return place;
  say(`Node ${process.version} runs here; fetching Node ${WANTED} with npm (some 45 MB, once)`);
  const attempts = platformPackages(process.platform, process.arch).map((name) =>
    fetchNode(name, tools, place),
  );
  const failures = [];
  for (const attempt of attempts) {
    const failure = attempt();
    if (failure === undefined) return place;
    failures.push(failure);
  }
  throw new SetupError(
    `Node.js ${WANTED} or newer is needed, this is ${process.version}, and npm could not fetch a newer one:\n` +
      `${failures.join('\n')}\nInstall Node.js ${WANTED} (nodejs.org or your package manager), then run this again.`,
  );
}

/**
 * The npm packages that carry a Node binary for a platform, best first. `node` itself only fetches one of the
 * others in its install script, which npm may be told not to run, so it comes last.
 * @param {string} platform as process.platform @param {string} arch as process.arch
 */
export function platformPackages(platform, arch) {
  const name = platform === 'win32' ? 'win' : platform;
  const family = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node';
  return [`${family}-${name}-${arch}`, 'node'];
}

/**
 * @param {string} name @param {string} tools @param {string} place
 * @returns {() => string | undefined} tries it; the answer is why it failed
 */
function fetchNode(name, tools, place) {
  return () => {
    const folder = mkdtempSync(join(tools, 'tmp-'));
    try {
      const wanted = `${name}@${WANTED}`;
      const scripts = name === 'node' ? [] : ['--ignore-scripts'];
      const options = [
        '--prefix',
        folder,
        '--no-save',
        '--no-audit',
        '--no-fund',
        '--global=false',
        ...scripts,
      ];
      const result = runNpm(['install', ...options, wanted], folder);
      const fetched = join(folder, 'node_modules', name, 'bin', 'node');
      if (!isExecutable(fetched))
        return `- ${wanted}: ${result.ok ? 'holds no bin/node' : npmReason(result.errors)}`;
      const check = run(fetched, ['--version']);
      if (!isAtLeast(check.output, OLDEST)) {
        return `- ${wanted}: does not run here: ${check.errors || check.output.trim()}`;
      }
      mkdirSync(dirname(place), { recursive: true });
      renameSync(fetched, place);
      return undefined;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/** @param {string} file */
function isUsable(file) {
  return isExecutable(file) && isAtLeast(run(file, ['--version']).output, OLDEST);
}
