import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { createSnapshotDisk } from '../../../src/agent/control/snapshot-disk.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { tempFolder } from '../../kit/temp-folder.ts';

const ORDERS = 'orders.default';
const FILE = 'snapshot.default.orders.jws';

async function create(t: Parameters<typeof tempFolder>[0]) {
  const folder = join(await tempFolder(t), 'data', 'web-1');
  const failed: string[] = [];
  const disk = createSnapshotDisk(folder, (error) => failed.push((error as Error).message));
  return { folder, failed, disk };
}

test('what is written is read again, and nobody else can read it', async (t) => {
  const { folder, failed, disk } = await create(t);
  t.is(await disk.read('snapshot', ORDERS), undefined);
  disk.write('snapshot', ORDERS, 'one');
  disk.write('endpoints', ORDERS, 'two');
  await disk.settled();
  t.deepEqual([await disk.read('snapshot', ORDERS), await disk.read('endpoints', ORDERS)], ['one', 'two']);
  t.is((await stat(join(folder, FILE))).mode & 0o777, 0o600);
  t.is((await stat(folder)).mode & 0o777, 0o700);
  t.deepEqual(failed, []);
});

test('of several for one file the last is kept, and nothing else is left', async (t) => {
  const { folder, disk } = await create(t);
  for (let count = 0; count <= 20; count++) disk.write('snapshot', ORDERS, `text ${count}`);
  await disk.settled();
  t.deepEqual(await readdir(folder), [FILE]);
  t.is(await readFile(join(folder, FILE), 'utf8'), 'text 20');
});

test('a folder that cannot be written is said and ends nothing', async (t) => {
  const { folder, failed } = await create(t);
  await writeFile(join(folder, '..', '..', 'file'), '');
  const disk = createSnapshotDisk(join(folder, '..', '..', 'file', 'x'), (error) =>
    failed.push((error as NodeJS.ErrnoException).code ?? ''),
  );
  disk.write('snapshot', ORDERS, 'one');
  disk.write('endpoints', ORDERS, 'two');
  await disk.settled();
  t.deepEqual(failed, ['ENOTDIR', 'ENOTDIR']);
});

test('a file over the limit is not read', async (t) => {
  const { folder, failed, disk } = await create(t);
  disk.write('snapshot', ORDERS, 'one');
  await disk.settled();
  await writeFile(join(folder, FILE), 'x'.repeat(LIMITS.publicationBytesMax + 1));
  t.is(await disk.read('snapshot', ORDERS), undefined);
  t.is(failed.length, 1);
});
