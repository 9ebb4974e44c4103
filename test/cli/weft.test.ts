import { readFile } from 'node:fs/promises';
import test from 'ava';
import { startWeft } from '../kit/weft-process.ts';

test('every command explains itself', async (t) => {
  for (const args of [['--help'], ['up', '--help'], ['agent', '--help'], ['init', '--help']]) {
    const weft = startWeft(t, args);
    t.is(await weft.exited, 0);
    t.regex(weft.stdout(), /^Usage: weft/);
    t.regex(weft.stdout(), /Exit codes: 0 done/);
  }
});

test('the version is that of the package', async (t) => {
  const weft = startWeft(t, ['--version']);
  t.is(await weft.exited, 0);
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  t.is(weft.stdout(), version);
});

test('what cannot be understood is a matter of usage', async (t) => {
  for (const args of [[], ['fly'], ['up'], ['agent'], ['init'], ['agent', '-f', 'x', '--fast']]) {
    t.is(await startWeft(t, args).exited, 2, args.join(' '));
  }
  for (const command of ['up', 'agent']) {
    const weft = startWeft(t, [command, '-f', 'not-there.yaml']);
    t.is(await weft.exited, 2);
    t.regex(
      weft.stderr(),
      /^weft: cannot read \/.*not-there\.yaml: there is no such file\. docs\/configuration\.md/,
    );
  }
});
