/** `weft rotate root` at the files of the roots: where they are, and what becomes of them if it is interrupted. */
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { headers } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { createMesh, meshFolder } from '../../src/cli/mesh-folder.ts';
import { readRootFiles } from '../../src/cli/root-files.ts';
import { PROOF_HEADER, proveAnswer } from '../../src/protocol/answer-proof.ts';
import type { IdentityView } from '../../src/protocol/api.ts';
import { openCall } from '../../src/protocol/api-call.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { apiSubject } from '../../src/protocol/subjects.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

let nats: TestNats;
let count = 0;

test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

/** A mesh with one agent, whose controller has the roots that its folder held when it was told to read them. */
async function create(t: ExecutionContext) {
  count += 1;
  const mesh = `shop-${count}`;
  const folder = await tempFolder(t);
  const own = meshFolder(join(folder, '.weft'));
  await mkdir(own.path);
  await createMesh(own, mesh, [nats.url]);
  const file = (name: string) => join(own.path, name);
  const seedOf = async (name: string) => (await readFile(file(name), 'utf8')).trim();
  let files = await readRootFiles(own.rootFile);
  let trust: Revision = [1, 1];
  /** Whether the agent takes what is published. */
  const agent = { hears: true, knows: trust, root: files.present.publicKey };
  const answers = {
    rotate: async () => {
      files = await readRootFiles(own.rootFile);
      trust = [1, trust[1] + 1];
      if (agent.hears) Object.assign(agent, { knows: trust, root: files.present.publicKey });
      return { fromMs: 0 };
    },
    identities: async () => {
      const time = new Date().toISOString();
      const host = {
        agent: 'app-1',
        state: 'valid',
        workloads: [],
        key: '',
        issued: time,
        expires: time,
      } as const;
      const items: IdentityView[] = [{ ...host, root: agent.root, trust: agent.knows }];
      const roots = [files.present, ...(files.other === undefined ? [] : [files.other])];
      return {
        items,
        roots: roots.map(({ publicKey }) => publicKey),
        trust,
        serviceKeys: { of: 0, replaced: 0 },
      };
    },
  };
  const connection = await connect({ servers: nats.url });
  t.teardown(() => connection.close());
  for (const verb of ['rotate', 'identities'] as const) {
    connection.subscribe(apiSubject(mesh, verb), {
      async callback(_error, message) {
        const known = [files.present, ...(files.other === undefined ? [] : [files.other])];
        const keys = known.map(({ publicKey }) => verificationKey(publicKey));
        openCall(keys, message.string(), mesh, verb, Date.now());
        const text = JSON.stringify({ ok: true, response: await answers[verb]() });
        const fields = headers();
        const given = { mesh, verb, call: message.data, answer: Buffer.from(text) };
        for (const root of known) fields.append(PROOF_HEADER, proveAnswer(signingKey(root), given));
        message.respond(text, { headers: fields });
      },
    } as Parameters<typeof connection.subscribe>[1]);
  }
  await connection.flush();
  return {
    folder,
    own,
    agent,
    seedOf,
    /** The controller reads the files. */
    told: answers.rotate,
    put: (name: string, seed: string) => writeFile(file(name), `${seed}\n`, { mode: 0o600 }),
    async rotate(args: readonly string[] = [], cwd = folder) {
      const weft = startWeft(t, ['rotate', 'root', ...args], { cwd, env: { WEFT_CONTEXT: '' } });
      const code = await weft.exited;
      return { code, stderr: weft.stderr() };
    },
    /** The end of it: one root, which the context names. */
    async isDone(seed: string) {
      t.is(await seedOf('root.nk'), seed);
      t.is((await stat(own.rootFile)).mode & 0o777, 0o600);
      const context = JSON.parse(await readFile(own.contextFile, 'utf8'));
      t.is(context.rootPublicKey, readRoot(seed).publicKey);
      t.deepEqual((await readdir(own.path)).sort(), ['context.json', 'root.nk']);
    },
  };
}

type Made = Awaited<ReturnType<typeof create>>;

/** What is there when it was interrupted, and that the same next root takes over. `old` is the root that is there. */
const INTERRUPTIONS: Readonly<Record<string, (made: Made, old: string, next: string) => Promise<unknown>>> = {
  'the next root was made': ({ put }, _old, next) => put('root-next.nk', next),
  'the present root was kept as the former one': async ({ put }, old, next) => {
    await put('root-next.nk', next);
    await put('root-former.nk', old);
  },
  'the next root was put in its place': async ({ own, put, told }, old, next) => {
    await put('root-next.nk', next);
    await told();
    await put('root-former.nk', old);
    await rename(join(own.path, 'root-next.nk'), own.rootFile);
  },
  'the files were copied to this host, and the next root was left': async ({ put, told }, old, next) => {
    await put('root-next.nk', next);
    await told();
    await put('root-former.nk', old);
    await put('root.nk', next);
    await put('root-next.nk', next);
  },
};

for (const [when, prepare] of Object.entries(INTERRUPTIONS)) {
  test(`interrupted when ${when}, the rotation of the root is taken up by the next call`, async (t) => {
    const made = await create(t);
    const next = createRoot().seed;
    await prepare(made, await made.seedOf('root.nk'), next);
    const { code, stderr } = await made.rotate();
    t.is(code, 0, stderr);
    await made.isDone(next);
  });
}

test('the next root signs only when all agents know it, and the former one goes only when they have followed', async (t) => {
  const { agent, rotate, seedOf, isDone } = await create(t);
  const old = await seedOf('root.nk');
  agent.hears = false;
  const untold = await rotate(['--timeout', '1ms']);
  t.is(untold.code, 1);
  t.regex(untold.stderr, /the next root is not known to app-1 yet: run `weft rotate root` again/);
  t.is(await seedOf('root.nk'), old);
  const next = await seedOf('root-next.nk');
  // It hears of it, and of nothing after that.
  agent.knows = [9, 9];
  const unfollowed = await rotate(['--timeout', '1ms']);
  t.is(unfollowed.code, 1);
  t.regex(unfollowed.stderr, /no identity of it have app-1 yet/);
  t.is(await seedOf('root.nk'), next);
  t.is(await seedOf('root-former.nk'), old);
  agent.hears = true;
  t.is((await rotate()).code, 0);
  await isDone(next);
});

test('the root is that of the context, wherever the command runs', async (t) => {
  const [meant, other] = [await create(t), await create(t)];
  const [old, untouched] = [await meant.seedOf('root.nk'), await other.seedOf('root.nk')];
  const { code, stderr } = await meant.rotate(['--context', meant.own.contextFile], other.folder);
  t.is(code, 0, stderr);
  t.not(await meant.seedOf('root.nk'), old);
  await meant.isDone(await meant.seedOf('root.nk'));
  await other.isDone(untouched);
});

test('two rotations at once are one too many', async (t) => {
  const { rotate, own, agent, seedOf } = await create(t);
  const old = await seedOf('root.nk');
  agent.hears = false;
  const first = startWeft(t, ['rotate', 'root'], { cwd: join(own.path, '..'), env: { WEFT_CONTEXT: '' } });
  await first.line(/telling all agents/);
  const { code, stderr } = await rotate();
  t.is(code, 1);
  t.regex(stderr, new RegExp(`the root is being replaced already: process ${first.child.pid} holds`));
  t.is(await seedOf('root.nk'), old);
});
