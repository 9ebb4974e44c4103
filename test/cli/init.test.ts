import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { ensureMesh, findRootFile, meshFolder, readRootFile } from '../../src/cli/mesh-folder.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

test('init makes a root that only its owner can read, and never says its seed', async (t) => {
  const dir = join(await tempFolder(t), 'secret');
  const weft = startWeft(t, ['init', '--mesh', 'shop', '--dir', dir]);
  t.is(await weft.exited, 0);
  t.is((await stat(dir)).mode & 0o777, 0o700);
  t.is((await stat(join(dir, 'root.nk'))).mode & 0o777, 0o600);
  const { seed, publicKey } = await readRootFile(join(dir, 'root.nk'));
  t.true(weft.stdout().includes(publicKey));
  t.false(`${weft.stdout()}${weft.stderr()}`.includes(seed));
  t.deepEqual(JSON.parse(await readFile(join(dir, 'context.json'), 'utf8')), {
    mesh: 'shop',
    nats: ['nats://127.0.0.1:4222'],
    rootPublicKey: publicKey,
  });
});

test('init does not write over a root', async (t) => {
  const dir = await tempFolder(t);
  t.is(await startWeft(t, ['init', '--mesh', 'shop', '--dir', dir]).exited, 0);
  const before = await readFile(join(dir, 'root.nk'), 'utf8');
  const again = startWeft(t, ['init', '--mesh', 'shop', '--dir', dir]);
  t.is(await again.exited, 1);
  t.regex(again.stderr(), /root\.nk exists/);
  t.is(await readFile(join(dir, 'root.nk'), 'utf8'), before);
});

test('init refuses a name that is no DNS label', async (t) => {
  const weft = startWeft(t, ['init', '--mesh', 'Shop!', '--dir', await tempFolder(t)]);
  t.is(await weft.exited, 2);
  t.regex(weft.stderr(), /--mesh: expected a DNS label/);
});

test('a folder keeps its root, and belongs to one mesh', async (t) => {
  const folder = meshFolder(join(await tempFolder(t), '.weft'));
  const first = await ensureMesh(folder, 'shop', ['nats://127.0.0.1:1']);
  const second = await ensureMesh(folder, 'shop', ['nats://127.0.0.1:2']);
  t.is(second.rootPublicKey, first.rootPublicKey);
  t.deepEqual(second.nats, ['nats://127.0.0.1:2']);
  await t.throwsAsync(ensureMesh(folder, 'other', []), { message: /belongs to the mesh shop/ });
});

test('the root is looked for beside the configuration, then in the working folder', async (t) => {
  const [beside, here] = [await tempFolder(t), await tempFolder(t)];
  const config = join(beside, 'agent.yaml');
  await t.throwsAsync(findRootFile(undefined, config, here), { message: /no mesh root/ });
  await ensureMesh(meshFolder(join(here, '.weft')), 'shop', []);
  t.is(await findRootFile(undefined, config, here), join(here, '.weft', 'root.nk'));
  await ensureMesh(meshFolder(join(beside, '.weft')), 'shop', []);
  t.is(await findRootFile(undefined, config, here), join(beside, '.weft', 'root.nk'));
  t.is(await findRootFile('/named', config, here), '/named');
});

test('a place where the root is looked for is named once', async (t) => {
  const here = await tempFolder(t);
  await t.throwsAsync(findRootFile(undefined, 'agent.yaml', here), {
    message: `no mesh root: ${join(here, '.weft', 'root.nk')} does not exist. Make one with \`weft init\`, copy the one of the mesh here, or name it with --root.`,
  });
});

test('init takes an address of NATS without nats://', async (t) => {
  const dir = join(await tempFolder(t), 'new');
  t.is(await startWeft(t, ['init', '--mesh', 'shop', '--dir', dir, '--nats', 'bus:4222']).exited, 0);
  t.deepEqual(JSON.parse(await readFile(join(dir, 'context.json'), 'utf8')).nats, ['nats://bus:4222']);
});

test('a file that is no root is refused without being quoted', async (t) => {
  const file = join(await tempFolder(t), 'root.nk');
  await writeFile(file, 'SUAHUNTER2HUNTER2');
  const error = await t.throwsAsync(readRootFile(file));
  t.notRegex(error?.message ?? '', /HUNTER2/);
});
