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
  t.deepEqual(await complete('get', '-o', ''), ['table', 'json', 'yaml']);
  t.deepEqual(await complete('get', '--output', 'y'), ['yaml']);
  t.deepEqual(await complete('get', '--output', '=', 'js'), ['json']);
  t.deepEqual(await complete('get', '--output', '='), ['table', 'json', 'yaml']);
  t.deepEqual(await complete('apply', '--name'), [''], 'what is only explained is not offered');
});

const installed = (shell: string) =>
  run(shell, ['--version']).then(
    () => true,
    () => false,
  );

test('zsh completes commands, kinds and values, from fpath and when sourced with or without compinit', async (t) => {
  if (!(await installed('zsh'))) {
    t.pass('there is no zsh here');
    return;
  }
  const weft = startWeft(t, ['completion', 'zsh']);
  t.is(await weft.exited, 0);
  const folder = await tempFolder(t);
  await writeFile(join(folder, '_weft'), weft.stdout());
  const compinit = `autoload -Uz compinit; compinit -u -d ${folder}/dump`;
  const complete = async (setUp: string, line: string) => {
    // A zsh in a terminal of its own, whose completed line is printed when Tab has been worked off.
    const script = `
zmodload zsh/zpty
zpty z 'TERM=dumb zsh -f'
zpty -w z 'PS1=; ${setUp}; done-line() { print -r -- "<$BUFFER>"; exit }; zle -N done-line; bindkey "^X" done-line'
zpty -w z 'print re''ady'
zpty -r -m z line '*ready*'
zpty -n -w z $'${line}\\t\\C-x'
zpty -r -m z line '*<weft*>*'
print -r -- "$line"`;
    const { stdout } = await run('zsh', ['-f', '-c', script], { cwd: folder, timeout: 60_000 });
    return /<(weft[^>]*)>/.exec(stdout)?.[1];
  };
  const autoloaded = `fpath=(${folder} $fpath); ${compinit}`;
  t.is(await complete(autoloaded, 'weft app'), 'weft apply ');
  t.is(await complete(autoloaded, 'weft get -o js'), 'weft get -o json ');
  t.is(await complete(autoloaded, 'weft get --output=y'), 'weft get --output=yaml ');
  t.is(await complete(autoloaded, 'weft delete httpr'), 'weft delete httproute/');
  t.is(await complete(`${compinit}; source ${folder}/_weft`, 'weft rollb'), 'weft rollback ');
  t.is(await complete(`ZDOTDIR=${folder}; source ${folder}/_weft`, 'weft rollb'), 'weft rollback ');
});

test('fish completes commands, kinds and values', async (t) => {
  if (!(await installed('fish'))) {
    t.pass('there is no fish here');
    return;
  }
  const weft = startWeft(t, ['completion', 'fish']);
  t.is(await weft.exited, 0);
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'weft.fish'), weft.stdout());
  const complete = async (line: string) => {
    const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
    const { stdout } = await run('fish', ['-N', '-c', `source weft.fish; complete -C '${line}'`], {
      cwd: folder,
      env,
    });
    return stdout.split('\n').flatMap((one) => (one === '' ? [] : [one.split('\t')[0]]));
  };
  t.deepEqual(await complete('weft app'), ['apply']);
  t.deepEqual((await complete('weft get -o ')).toSorted(), ['json', 'table', 'yaml']);
  t.deepEqual(await complete('weft get --output=ya'), ['--output=yaml']);
  t.deepEqual(await complete('weft delete httpr'), ['httproute/']);
});

test('zsh and fish have completions, another shell has none', async (t) => {
  for (const shell of ['zsh', 'fish']) {
    const weft = startWeft(t, ['completion', shell]);
    t.is(await weft.exited, 0);
    for (const command of COMMANDS) t.true(weft.stdout().includes(command), `${command} in ${shell}`);
  }
  t.is(await startWeft(t, ['completion', 'csh']).exited, 2);
});
