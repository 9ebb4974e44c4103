import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { UsageError } from '../../src/cli/exit.ts';
import { createMesh, meshFolder } from '../../src/cli/mesh-folder.ts';
import { type NatsConfigCommandOptions, natsConfig } from '../../src/cli/nats-config.ts';
import { ensureNatsKeys, findNatsKey, NATS_USERS, natsKeyFile } from '../../src/cli/nats-keys.ts';
import type { IdentityView, OperatorView } from '../../src/protocol/api.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';
import { createKey, startConfigured } from '../nats/walled-nats.ts';
import { fakeController } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

async function newMesh(t: ExecutionContext) {
  const folder = await tempFolder(t);
  await createMesh(meshFolder(join(folder, '.weft')), 'shop', ['nats://127.0.0.1:1']);
  const weft = async (...args: readonly string[]) => {
    const run = startWeft(t, args, { cwd: folder, env: { WEFT_CONTEXT: '', WEFT_OPERATOR: '' } });
    return { code: await run.exited, stdout: run.stdout(), stderr: run.stderr() };
  };
  return { folder, weft };
}

const TIMES = { issued: '2026-01-01T00:00:00.000Z', expires: '2026-01-02T00:00:00.000Z' };
const agent = (name: string, state: IdentityView['state']): IdentityView => ({
  agent: name,
  state,
  workloads: ['orders.default'],
  key: state === 'invited' ? '' : createKey().publicKey,
  root: '',
  ...TIMES,
});
const operator = (name: string, state: OperatorView['state']): OperatorView => ({
  name,
  state,
  role: 'editor',
  key: createKey().publicKey,
  ...TIMES,
});

test('the first configuration lets in controllers, the operator of the folder and hosts that join', async (t) => {
  const { folder, weft } = await newMesh(t);
  const first = await weft('nats', 'config', '--first', '--out', 'nats.conf', '--store-dir', 'store');
  t.is(first.code, 0, first.stderr);
  for (const name of NATS_USERS) {
    const file = join(folder, '.weft', `${name}.nk`);
    t.is((await stat(file)).mode & 0o777, 0o600);
    const seed = (await readFile(file, 'utf8')).trim();
    t.false(
      `${first.stdout}${first.stderr}${await readFile(join(folder, 'nats.conf'), 'utf8')}`.includes(seed),
    );
  }
  const again = await weft('nats', 'config', '--first', '--out', 'nats.conf', '--store-dir', 'store');
  t.regex(again.stderr, /is as it was/);

  // With the keys of the folder, nothing else has to be said to get in.
  const server = await startConfigured(t, join(folder, 'nats.conf'));
  const check = await weft('check', '--nats', server.url);
  t.regex(check.stdout, /^ok {7}nats /m);
  t.regex(check.stdout, /^ok {7}jetstream /m);
  t.regex(check.stdout, /^failed {3}controller .* answers, but no controller/m);
  const controller = startWeft(
    t,
    ['controller', '--mesh', 'shop', '--nats', server.url, '--admin', '127.0.0.1:0'],
    { cwd: folder },
  );
  await controller.line(/"leading"/);
  const agents = await weft('get', 'agents', '--nats', server.url, '-o', 'json');
  t.is(agents.code, 0, agents.stderr);
});

test('whoever is enrolled is asked for, and those that are cut off are left out', async (t) => {
  const agents = [
    agent('app-1', 'valid'),
    agent('app-2', 'expired'),
    agent('app-3', 'revoked'),
    agent('app-4', 'invited'),
  ];
  const operators = [operator('ada', 'valid'), operator('bob', 'revoked'), operator('eve', 'expired')];
  const { weft } = await fakeController(t, nats.url, {
    identities: () => ({ items: agents, roots: [], trust: null, serviceKeys: { of: 0, replaced: 0 } }),
    operators: () => ({ items: operators }),
  });
  const { code, stdout, stderr } = await weft(['nats', 'config']);
  t.is(code, 0, stderr);
  t.regex(stdout, /# agent app-1\n.*svc\.default\.orders weft/);
  t.regex(stdout, /# agent app-2\n/);
  t.regex(stdout, /# operator ada, editor\n/);
  t.notRegex(stdout, /app-3|app-4|bob|eve/);
});

test('what a controller says that is no name writes nothing', async (t) => {
  const { folder, weft } = await fakeController(t, nats.url, {
    identities: () => ({
      items: [{ ...agent('app-1', 'valid'), agent: 'a", ">' }],
      roots: [],
      trust: null,
      serviceKeys: { of: 0, replaced: 0 },
    }),
    operators: () => ({ items: [] }),
  });
  const { code } = await weft(['nats', 'config', '--out', 'nats.conf']);
  t.is(code, 1);
  await t.throwsAsync(stat(join(folder, 'nats.conf')), { code: 'ENOENT' });
});

test('without a mesh to ask nothing is written, so that nobody is cut off by mistake', async (t) => {
  const { folder, weft } = await newMesh(t);
  await writeFile(join(folder, 'nats.conf'), 'as it was');
  const { code } = await weft('nats', 'config', '--out', 'nats.conf');
  t.is(code, 3);
  t.is(await readFile(join(folder, 'nats.conf'), 'utf8'), 'as it was');
});

test('options that cannot work are refused, each with what was expected', async (t) => {
  const { folder } = await newMesh(t);
  const at = (name: string) => join(folder, name);
  await writeFile(at('there.pem'), '');
  const sound = {
    context: at('.weft/context.json'),
    first: true,
    listen: '0.0.0.0:4222',
    storeDir: folder,
    maxStore: '4GB',
  };
  const wrong: [Partial<NatsConfigCommandOptions>, RegExp][] = [
    [{ listen: '4222' }, /--listen: expected/],
    [{ listen: '0.0.0.0:4222", x' }, /--listen: expected/],
    [{ maxStore: '4' }, /--max-store: expected/],
    [{ maxStore: '0GB' }, /--max-store: expected/],
    [{ tlsCert: at('there.pem') }, /--tls-cert and --tls-key/],
    [{ tlsCa: at('there.pem') }, /--tls-cert and --tls-key/],
    [{ tlsCert: at('there.pem'), tlsKey: at('missing.pem') }, /--tls-key: cannot read \S+missing\.pem/],
  ];
  for (const [change, message] of wrong) {
    await t.throwsAsync(natsConfig({ ...sound, ...change }), { instanceOf: UsageError, message });
  }
});

test('keys are made once, also by several at a time, and a file that is none is not quoted', async (t) => {
  const folder = await tempFolder(t);
  const made = await Promise.all([ensureNatsKeys(folder), ensureNatsKeys(folder), ensureNatsKeys(folder)]);
  for (const keys of made) t.deepEqual(keys, made[0]);
  t.deepEqual(await findNatsKey(folder, 'join'), made[0]!.join);
  await writeFile(natsKeyFile(folder, 'join'), 'SUAHUNTER2HUNTER2');
  const error = await t.throwsAsync(ensureNatsKeys(folder), { instanceOf: UsageError });
  t.notRegex(error?.message ?? '', /HUNTER2/);
});
