import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Long enough for a package index over a slow line, short enough that nobody waits for a dead mirror for ever. */
const TIMEOUT_MS = 600_000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Runs a program to its end.
 * @param {string} file @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number }} [options]
 * @returns {{ ok: boolean, output: string, errors: string }} `errors` also says why it could not be started
 */
export function run(file, args, options = {}) {
  const result = spawnSync(file, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const errors = result.error === undefined ? (result.stderr ?? '') : result.error.message;
  return { ok: result.status === 0, output: result.stdout ?? '', errors: errors.trim() };
}

/**
 * Every executable file of that name on a PATH, in its order.
 * @param {string} name @param {string} path
 */
export function findOnPath(name, path) {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .filter(isExecutable);
}

/** @param {string} file */
export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs npm: the one that started us if there is one, else the one beside this Node, else the one on PATH.
 * @param {readonly string[]} args @param {string} cwd
 */
export function runNpm(args, cwd) {
  const starter = process.env.npm_execpath ?? '';
  const beside = join(dirname(process.execPath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
  for (const script of [starter.endsWith('npm-cli.js') ? starter : '', beside]) {
    if (script !== '' && statSync(script, { throwIfNoEntry: false })?.isFile()) {
      return run(process.execPath, [script, ...args], { cwd });
    }
  }
  return run('npm', args, { cwd });
}

/**
 * What npm says went wrong, without its usage text and the place of its log.
 * @param {string} errors npm's standard error
 */
export function npmReason(errors) {
  const lines = errors
    .split('\n')
    .filter((line) => line.startsWith('npm error'))
    .map((line) => line.slice('npm error'.length).trim())
    .filter((line) => line !== '' && !line.startsWith('A complete log'));
  return lines.slice(0, 5).join('\n') || errors.slice(-500);
}
