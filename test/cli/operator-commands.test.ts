import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

const run = promisify(execFile);
const COMMANDS = [
  'apply',
  'delete',
  'rollback',
  'get',
  'describe',
  'diff',
  'history',
  'explain',
  'authz',
  'check',
  'completion',
];

for (const command of COMMANDS) {
  test(`${command} explains itself with an example and its exit codes`, async (t) => {
    const weft = startWeft(t, [command, '--help']);
    t.is(await weft.exited, 0);
    t.regex(weft.stdout(), new RegExp(`^Usage: weft ${command}`));
    t.regex(weft.stdout(), new RegExp(`^Examples:\n.*weft ${command}`, 'm'));
    t.regex(weft.stdout(), /^Exit codes: 0 /m);
  });
}

test('weft itself names every command, in groups', async (t) => {
  const weft = startWeft(t, ['--help']);
  t.is(await weft.exited, 0);
  for (const command of COMMANDS) t.regex(weft.stdout(), new RegExp(`^ {2}${command} `, 'm'));
  t.regex(weft.stdout(), /^Change the mesh:$/m);
  t.true(weft.stdout().split('\n').length < 50, 'on one screen');
});

test('bash completes commands, kinds and options', async (t) => {
  const weft = startWeft(t, ['completion', 'bash']);
  t.is(await weft.exited, 0);
  const script = join(await tempFolder(t), 'completion.bash');
  await writeFile(script, weft.stdout());
  const complete = async (...words: readonly string[]) => {
    const fill = `COMP_WORDS=(weft "$@"); COMP_CWORD=$#; _weft; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run('bash', ['-c', `source ${script}; ${fill}`, 'bash', ...words]);
    return stdout.trim().split('\n');
  };
  t.deepEqual(await complete('ap'), ['apply']);
  t.deepEqual(await complete('get', 'http'), ['httproute']);
  t.deepEqual(await complete('delete', 'http'), ['httproute/']);
  t.deepEqual(await complete('apply', '--w'), ['--wait']);
});

test('zsh and fish have completions, another shell has none', async (t) => {
  for (const shell of ['zsh', 'fish']) {
    const weft = startWeft(t, ['completion', shell]);
    t.is(await weft.exited, 0);
    for (const command of COMMANDS) t.true(weft.stdout().includes(command), `${command} in ${shell}`);
  }
  t.is(await startWeft(t, ['completion', 'csh']).exited, 2);
});
