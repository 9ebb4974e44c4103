/**
 * `npm test`: types, lint and format, and every test. All three always run, so that one look shows everything; side by
 * side, because the tests wait more than the others do.
 * The last line is `N passed, N failed`, alone; the exit code is 0 only if tests ran and nothing failed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createTestCount } from './test-count.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs one of our tools. Answers its exit code, 1 if a signal ended it. */
async function runTool(script: string, args: readonly string[], onLine: (line: string) => void) {
  const child = spawn(process.execPath, [`${root}node_modules/${script}`, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', onLine);
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

/** What it prints is shown when it has ended. Answers whether it found nothing. */
async function check(name: string, script: string, args: readonly string[]): Promise<boolean> {
  const lines: string[] = [];
  const code = await runTool(script, args, (line) => lines.push(line));
  if (code !== 0) lines.push(`FAILED: ${name} (exit code ${code})`);
  process.stdout.write(`checked ${name}\n${lines.map((line) => `${line}\n`).join('')}`);
  return code === 0;
}

const checks = Promise.all([
  check('types', 'typescript/bin/tsc', []),
  check('lint and format', '@biomejs/biome/bin/biome', ['check', '--error-on-warnings']),
]);
const count = createTestCount();
const colour = process.stdout.isTTY ? ['--color'] : [];
const code = await runTool('ava/entrypoints/cli.js', [...colour, ...process.argv.slice(2)], (line) => {
  process.stdout.write(`${line}\n`);
  count.add(line);
});
const failedChecks = (await checks).filter((passed) => !passed).length;
const { passed, failed } = count.total();
const failures = failedChecks + Math.max(failed, code === 0 ? 0 : 1);
if (passed === 0) process.stdout.write('FAILED: no test has passed\n');
process.stdout.write(`${passed} passed, ${failures} failed\n`);
process.exitCode = failures === 0 && passed > 0 ? 0 : 1;
