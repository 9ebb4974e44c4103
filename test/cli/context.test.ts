import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createUser } from '@nats-io/nkeys';
import test from 'ava';
import { type ContextOptions, resolveContext } from '../../src/cli/context.ts';
import { createMesh, meshFolder } from '../../src/cli/mesh-folder.ts';
import { writeOperatorFile } from '../../src/cli/operator-file.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { operatorOf } from '../kit/operator.ts';
import { tempFolder } from '../kit/temp-folder.ts';

test('the context file is looked for here and in the folders above', async (t) => {
  const folder = await tempFolder(t);
  const deep = join(folder, 'a', 'b');
  await mkdir(deep, { recursive: true });
  await createMesh(meshFolder(join(folder, '.weft')), 'shop', ['nats://127.0.0.1:1', 'nats://127.0.0.1:2']);
  const context = await resolveContext({}, { cwd: deep, env: {} });
  t.is(context.mesh, 'shop');
  t.deepEqual(context.servers, ['nats://127.0.0.1:1', 'nats://127.0.0.1:2']);
  t.is((await context.root()).publicKey, await context.rootPublicKey());
  t.is((await context.rootKey()).type, 'public');
});

test('what is named goes before what is found: options, --context, WEFT_CONTEXT', async (t) => {
  const [here, other, third] = [await tempFolder(t), await tempFolder(t), await tempFolder(t)];
  await createMesh(meshFolder(join(here, '.weft')), 'here', ['nats://127.0.0.1:1']);
  await createMesh(meshFolder(other), 'other', ['nats://127.0.0.1:2']);
  await createMesh(meshFolder(third), 'third', ['nats://127.0.0.1:3']);
  const env = { WEFT_CONTEXT: join(other, 'context.json') };
  const context = join(third, 'context.json');
  t.is((await resolveContext({}, { cwd: here, env })).mesh, 'other');
  t.is((await resolveContext({ context }, { cwd: here, env })).mesh, 'third');
  const options = { nats: 'nats://a:1, tls://b:2' };
  t.deepEqual((await resolveContext(options, { cwd: here, env: {} })).servers, ['nats://a:1', 'tls://b:2']);
});

test('the root and the addresses of another mesh are not taken for those of --mesh', async (t) => {
  const folder = await tempFolder(t);
  await createMesh(meshFolder(join(folder, '.weft')), 'shop', ['nats://127.0.0.1:1']);
  const at = { cwd: folder, env: {} };
  await t.throwsAsync(resolveContext({ mesh: 'other' }, at), { message: /which mesh\?.*give --nats URL/ });
  const other = await resolveContext({ mesh: 'other', nats: 'nats://a:1' }, at);
  await t.throwsAsync(other.root(), { message: /no root of the mesh other at hand.*--root/ });
  await t.throwsAsync(other.rootKey(), { message: /no root of the mesh other at hand/ });
  const root = join(folder, '.weft', 'root.nk');
  const rooted = await resolveContext({ mesh: 'other', nats: 'nats://a:1', root }, at);
  t.is((await rooted.rootKey()).type, 'public');
});

test('--mesh that contradicts the context is told with the file', async (t) => {
  const folder = await tempFolder(t);
  await createMesh(meshFolder(join(folder, '.weft')), 'shop', ['nats://127.0.0.1:1']);
  const at = { cwd: folder, env: {} };
  const message =
    /--mesh says other, and the context \/.*context\.json is of the mesh shop\. Leave --mesh out/;
  await t.throwsAsync(resolveContext({ mesh: 'other' }, at), { message });
  const context = join(folder, '.weft', 'context.json');
  const named = { context, mesh: 'other', nats: 'nats://a:1' };
  await t.throwsAsync(resolveContext(named, at), { message });
  const { root } = await resolveContext({ mesh: 'other', nats: 'nats://a:1' }, at);
  await t.throwsAsync(root(), { message: /context\.json is of the mesh shop/ });
});

test('an address of NATS may be given without nats://', async (t) => {
  const at = { cwd: await tempFolder(t), env: {} };
  const options = { mesh: 'shop', nats: 'localhost:4222, tls://a:1,[::1]:4222,nats.example' };
  t.deepEqual((await resolveContext(options, at)).servers, [
    'nats://localhost:4222',
    'tls://a:1',
    'nats://[::1]:4222',
    'nats://nats.example',
  ]);
  for (const nats of ['http://a:1', 'u:hunter2@a:1', 'a:1,', 'a b']) {
    const error = await t.throwsAsync(resolveContext({ mesh: 'shop', nats }, at), {
      message: /--nats: expected/,
    });
    t.false(error?.message.includes('hunter2'));
  }
});

test('without any of it, it is said what to do', async (t) => {
  const at = { cwd: await tempFolder(t), env: {} };
  const error = await t.throwsAsync(resolveContext({}, at));
  t.is(error?.name, 'UsageError');
  t.regex(
    error?.message ?? '',
    /no \.weft\/context\.json in .*--context or WEFT_CONTEXT.*--mesh NAME and --nats URL/,
  );
});

test('a context file that is none, and options that are wrong, are named', async (t) => {
  const folder = await tempFolder(t);
  const at = { cwd: folder, env: {} };
  const context = join(folder, 'context.json');
  await t.throwsAsync(resolveContext({ context }, at), { message: /cannot read the context file .*ENOENT/ });
  for (const [text, message] of [
    ['{', /is not JSON/],
    ['null', /expected mesh, nats/],
    ['{"mesh":"a","nats":[],"rootPublicKey":"A"}', /expected mesh, nats/],
  ] as const) {
    await writeFile(context, text);
    await t.throwsAsync(resolveContext({ context }, at), { message });
  }
  const options = { mesh: 'a', nats: 'nats://a:1' };
  await t.throwsAsync(resolveContext({ ...options, mesh: 'A' }, at), {
    message: /--mesh: expected a DNS label/,
  });
  await t.throwsAsync(resolveContext({ ...options, nats: 'nats://u:p@a' }, at), {
    message: /--nats: expected/,
  });
  await t.throwsAsync(resolveContext({ ...options, creds: 'gone' }, at), {
    message: /cannot read the credentials/,
  });
});

test("an operator's credentials are those of the command, of WEFT_OPERATOR, or of the context; without any the root calls", async (t) => {
  const folder = await tempFolder(t);
  const mesh = meshFolder(join(folder, '.weft'));
  await createMesh(mesh, 'shop', ['nats://127.0.0.1:1']);
  const rootKey = signingKey(readRoot(await readFile(mesh.rootFile, 'utf8')));
  const file = async (name: string) => {
    const seed = Buffer.from(createUser().getSeed()).toString('latin1');
    const { document = '' } = operatorOf(rootKey, 'shop', name, 'viewer');
    const path = join(folder, `${name}.operator`);
    await writeOperatorFile(path, { mesh: 'shop', name, role: 'viewer', expires: '', document, seed });
    return { path, document, seed };
  };
  const [option, variable, listed] = [await file('option'), await file('variable'), await file('listed')];
  const documentOf = async (options: ContextOptions, env = {}) => {
    const context = await resolveContext(options, { cwd: folder, env });
    return (await context.signer()).document;
  };
  const env = { WEFT_OPERATOR: variable.path };
  t.is(await documentOf({}), undefined);
  const context = JSON.parse(await readFile(mesh.contextFile, 'utf8'));
  await writeFile(mesh.contextFile, JSON.stringify({ ...context, operator: '../listed.operator' }));
  t.is(await documentOf({}), listed.document);
  t.is(await documentOf({}, env), variable.document);
  t.is(await documentOf({ operator: option.path }, env), option.document);
  t.is(await documentOf({ root: mesh.rootFile }, env), undefined, 'who names the root means the root');
  t.is((await resolveContext({}, { cwd: folder, env })).natsSeed, variable.seed, 'its key is its NATS user');
});
