/** What an agent keeps of its identity is whole, or it is an error; it is never begun anew without a word. */
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createIdentityFolder, type StoredIdentity } from '../../../src/agent/trust/identity-folder.ts';
import { createAgentKeys } from '../../../src/protocol/agent-keys.ts';
import { createRoot } from '../../../src/protocol/root.ts';
import { tempFolder } from '../../kit/temp-folder.ts';

async function create(t: ExecutionContext) {
  const data = await tempFolder(t);
  const folder = createIdentityFolder(join(data, 'agent'));
  const keys = createAgentKeys();
  const stored: StoredIdentity = {
    version: 1,
    mesh: 'shop',
    agent: 'web-1',
    key: keys.publicKey,
    keysSinceMs: 1,
    roots: [createRoot().publicKey],
    identity: 'a.b.c',
    sealedBy: 'x',
    keys: [],
    trust: '',
    revisions: { 'snapshot.default.orders': [1, 2] },
  };
  await folder.keepKeys(keys);
  await folder.save(stored);
  return {
    folder,
    keys,
    stored,
    state: join(folder.path, 'state.json'),
    keyFile: join(folder.path, `${keys.publicKey}.key`),
  };
}

test('what was kept is there again', async (t) => {
  const { folder, keys, stored } = await create(t);
  const kept = await folder.load();
  t.deepEqual(kept?.stored, stored);
  t.is(kept?.keys.publicKey, keys.publicKey);
  t.true(Buffer.from(keys.boxSecret).equals(kept?.keys.boxSecret ?? Buffer.alloc(0)));
});

test('an empty folder holds no identity', async (t) => {
  const folder = createIdentityFolder(await tempFolder(t));
  t.is(await folder.load(), undefined);
  t.is(await folder.spareKeys(), undefined);
});

test('I2 a file that is cut off anywhere, or gone, is an error that says which and what to do, without what stands in it', async (t) => {
  const { folder, state, keyFile } = await create(t);
  for (const file of [state, keyFile]) {
    const whole = await readFile(file, 'utf8');
    for (const length of [0, 1, Math.floor(whole.length / 2), whole.length - 3]) {
      await writeFile(file, whole.slice(0, length));
      const error = await t.throwsAsync(folder.load());
      t.true(error?.message.startsWith(`${file} is damaged`), error?.message);
      t.regex(error?.message ?? '', /new token of `weft token create`/);
      t.notRegex(error?.message ?? '', /\bSU[A-Z2-7]{10}/);
    }
    await writeFile(file, whole);
  }
  await rm(keyFile);
  await t.throwsAsync(folder.load(), { message: /\.key is damaged: it is not there/ });
});

test('files that others can read are not used', async (t) => {
  const { folder, state, keyFile } = await create(t);
  for (const file of [state, keyFile]) {
    await chmod(file, 0o640);
    await t.throwsAsync(folder.load(), { message: /mode 0640.*chmod 600/ });
    await chmod(file, 0o600);
  }
  t.not(await folder.load(), undefined);
});

test('I1 keys that are asked with are kept beside the present ones, until they are the present ones', async (t) => {
  const { folder, keys, stored } = await create(t);
  const next = createAgentKeys();
  await folder.keepKeys(next);
  t.is((await folder.load())?.keys.publicKey, keys.publicKey);
  t.is((await folder.spareKeys())?.publicKey, next.publicKey);
  await Promise.all([
    folder.save(stored),
    folder.keepKeys(next),
    folder.save({ ...stored, key: next.publicKey }),
  ]);
  t.is((await folder.load())?.keys.publicKey, next.publicKey);
  t.is(await folder.spareKeys(), undefined);
  t.deepEqual((await readdir(folder.path)).toSorted(), [`${next.publicKey}.key`, 'state.json'].toSorted());
});
