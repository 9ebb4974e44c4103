import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { replaceFile } from '../../src/disk/whole-file.ts';
import { tempFolder } from '../kit/temp-folder.ts';

test('a file is replaced whole, for its owner alone, and nothing is left beside it', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'state.json');
  await writeFile(file, 'before', { mode: 0o644 });
  await replaceFile(file, 'after, ä');
  t.is(await readFile(file, 'utf8'), 'after, ä');
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(folder), ['state.json']);
});

test('a file without secrets may be readable for all', async (t) => {
  const file = join(await tempFolder(t), 'nats.conf');
  await replaceFile(file, 'text', 0o644);
  t.is((await stat(file)).mode & 0o777, 0o644 & ~process.umask());
});

test('what cannot be replaced stays as it was, and nothing is left beside it', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'taken');
  await mkdir(join(file, 'by-a-folder'), { recursive: true });
  await t.throwsAsync(replaceFile(file, 'text'));
  t.deepEqual(await readdir(folder), ['taken']);
  await t.throwsAsync(replaceFile(join(folder, 'nowhere', 'file'), 'text'), { code: 'ENOENT' });
});

test('who writes at the same time disturbs nobody: one of the texts stands there, whole', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'root.nk');
  const texts = Array.from({ length: 20 }, (_, at) => String(at).repeat(10_000));
  await Promise.all(texts.map((text) => replaceFile(file, text)));
  t.true(texts.includes(await readFile(file, 'utf8')));
  t.deepEqual(await readdir(folder), ['root.nk']);
});
