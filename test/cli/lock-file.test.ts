import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { takeLock } from '../../src/cli/lock-file.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

test('a lock is taken once, and again after it was released', async (t) => {
  const file = join(await tempFolder(t), 'weft.lock');
  const lock = await takeLock(file);
  await t.throwsAsync(takeLock(file), { message: /a mesh runs from this folder already: process \d+/ });
  await lock.release();
  await t.notThrowsAsync(takeLock(file));
});

test('the lock of a process that is gone is taken over', async (t) => {
  const gone = startWeft(t, ['--version']);
  await gone.exited;
  const file = join(await tempFolder(t), 'weft.lock');
  await writeFile(file, `${gone.child.pid} \n`);
  await t.notThrowsAsync(takeLock(file));
});

test('a lock file that holds no number is taken over', async (t) => {
  const file = join(await tempFolder(t), 'weft.lock');
  await writeFile(file, 'x');
  await t.notThrowsAsync(takeLock(file));
});

test('a process that only has the number of the holder does not hold it', async (t) => {
  const file = join(await tempFolder(t), 'weft.lock');
  await writeFile(file, `${process.pid} 1\n`);
  await t.notThrowsAsync(takeLock(file));
});
