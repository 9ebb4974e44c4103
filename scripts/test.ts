/**
 * `npm test`: types, lint and format, then every test. All three always run, so that one look shows everything.
 * The last line is `N passed, N failed`, alone; the exit code is 0 only if tests ran and nothing failed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createTestCount } from './test-count.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs one of our tools with its output shown. Answers its exit code, 1 if a signal ended it. */
async function runTool(script: string, args: readonly string[], onLine?: (line: string) => void) {
  const child = spawn(process.execPath, [`${root}node_modules/${script}`, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    process.stdout.write(`${line}\n`);
    onLine?.(line);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

let failedChecks = 0;
for (const [name, script, args] of [
  ['types', 'typescript/bin/tsc', []],
  ['lint and format', '@biomejs/biome/bin/biome', ['check', '--error-on-warnings']],
] as const) {
  process.stdout.write(`checking ${name}\n`);
  const code = await runTool(script, args);
  if (code === 0) continue;
  failedChecks += 1;
  process.stdout.write(`FAILED: ${name} (exit code ${code})\n`);
}

const count = createTestCount();
const colour = process.stdout.isTTY ? ['--color'] : [];
const code = await runTool('ava/entrypoints/cli.js', [...colour, ...process.argv.slice(2)], count.add);
const { passed, failed } = count.total();
const failures = failedChecks + Math.max(failed, code === 0 ? 0 : 1);
if (passed === 0) process.stdout.write('FAILED: no test has passed\n');
process.stdout.write(`${passed} passed, ${failures} failed\n`);
process.exitCode = failures === 0 && passed > 0 ? 0 : 1;
