import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  ensureMesh,
  findDefaultAction,
  findRootFile,
  meshFolder,
  readRootFile,
  updateRootPublicKey,
} from '../../src/cli/mesh-folder.ts';
import { createRoot } from '../../src/protocol/root.ts';
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

test('what people add to a context file stays in it when the mesh starts again or has another root', async (t) => {
  const folder = meshFolder(join(await tempFolder(t), '.weft'));
  await ensureMesh(folder, 'shop', ['nats://127.0.0.1:1']);
  const file = folder.contextFile;
  const read = async () => JSON.parse(await readFile(file, 'utf8'));
  const first = await read();
  const added = {
    creds: '../nats.creds',
    operator: '../ada.operator',
    defaultAction: 'deny',
    note: { of: 'ours' },
  };
  await writeFile(file, JSON.stringify({ ...first, ...added }));
  await ensureMesh(folder, 'shop', ['nats://127.0.0.1:2']);
  t.deepEqual(await read(), { ...first, nats: ['nats://127.0.0.1:2'], ...added });
  const { publicKey } = createRoot();
  await updateRootPublicKey(file, first.rootPublicKey, publicKey);
  t.deepEqual(await read(), { ...first, nats: ['nats://127.0.0.1:2'], ...added, rootPublicKey: publicKey });
});

test('a context file is replaced as a whole, and stays readable for its owner alone', async (t) => {
  const folder = meshFolder(join(await tempFolder(t), '.weft'));
  await ensureMesh(folder, 'shop', ['nats://127.0.0.1:1']);
  const before = await readFile(folder.contextFile, 'utf8');
  const reader = await open(folder.contextFile);
  t.teardown(() => reader.close());
  await ensureMesh(folder, 'shop', ['nats://127.0.0.1:2']);
  t.is(await reader.readFile('utf8'), before, 'who was reading it has all of the old one');
  t.not(await readFile(folder.contextFile, 'utf8'), before);
  t.is((await stat(folder.contextFile)).mode & 0o777, 0o600);
  t.deepEqual((await readdir(folder.path)).sort(), ['context.json', 'root.nk']);
});

test('a context file that cannot be read opens no mesh, and is not written over', async (t) => {
  const folder = meshFolder(join(await tempFolder(t), '.weft'));
  await ensureMesh(folder, 'shop', ['nats://127.0.0.1:1']);
  const whole = JSON.parse(await readFile(folder.contextFile, 'utf8'));
  for (const [text, message] of [
    ['{ "defaultAction": "deny"', /context\.json is not JSON/],
    ['[]', /context\.json: expected mesh, nats/],
    [JSON.stringify({ ...whole, mesh: 7 }), /context\.json: expected mesh, nats/],
    [JSON.stringify({ ...whole, operator: [] }), /expected mesh, nats .*creds and operator/],
    [JSON.stringify({ ...whole, defaultAction: 'Deny' }), /defaultAction: found "Deny"/],
  ] as const) {
    await writeFile(folder.contextFile, text);
    await t.throwsAsync(findDefaultAction(folder.rootFile), { name: 'UsageError', message });
    await t.throwsAsync(ensureMesh(folder, 'shop', ['nats://127.0.0.1:2']), { name: 'UsageError', message });
    t.is(await readFile(folder.contextFile, 'utf8'), text);
  }
  await writeFile(folder.contextFile, '{ "defaultAction": "deny" }');
  t.is(await findDefaultAction(folder.rootFile), 'deny', 'beside the root of a controller it needs no more');
});

test('the root is that of the working folder, and no other is taken for it', async (t) => {
  const above = await tempFolder(t);
  const here = join(above, 'here');
  await ensureMesh(meshFolder(join(above, '.weft')), 'above', ['nats://127.0.0.1:1']);
  await mkdir(here);
  const file = join(here, '.weft', 'root.nk');
  await t.throwsAsync(findRootFile(undefined, here), {
    message: `no mesh root: ${file} does not exist. Make one with \`weft init\`, copy the one of the mesh here, or name it with --root.`,
  });
  await ensureMesh(meshFolder(join(here, '.weft')), 'shop', ['nats://127.0.0.1:1']);
  t.is(await findRootFile(undefined, here), file);
  t.is(await findRootFile('/named', here), '/named');
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
