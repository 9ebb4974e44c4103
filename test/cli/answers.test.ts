/** Whose answers operators believe. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { createApiClient } from '../../src/cli/api-client.ts';
import { PROOF_HEADER, proveAnswer } from '../../src/protocol/answer-proof.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { apiSubject } from '../../src/protocol/subjects.ts';
import { MESH, route, startControlPlane } from '../controller/control-plane.ts';
import { until } from '../kit/mesh.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { fakeController } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

async function connected(t: ExecutionContext, url: string): Promise<NatsConnection> {
  const connection = await connect({ servers: url });
  t.teardown(() => connection.close());
  return connection;
}

/** An operator of the mesh who knows the root of that seed. */
function operatorAt(connection: NatsConnection, seed: string, signer = seed) {
  const [known, own] = [readRoot(seed), readRoot(signer)];
  return createApiClient(connection, {
    mesh: MESH,
    servers: ['nats://bus'],
    signer: async () => ({ key: signingKey(own) }),
    rootKey: async () => verificationKey(known.publicKey),
  });
}

type Answer = { readonly data: Uint8Array; readonly headers?: MsgHdrs | undefined };

test('who sits between operator and controller can change no answer, give it to another call, or make one up', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  await plane.done('apply', { resources: [route('orders', 'orders.default', 'a')] });

  // The operator's NATS: whoever has it passes calls on, and does what he likes with the answers.
  const between = await connected(t, nats.url);
  let told: (genuine: Answer) => Answer = (genuine) => genuine;
  between.subscribe(apiSubject(MESH, '*'), {
    callback(_error, message) {
      void plane.client.request(message.subject, message.data).then((genuine) => {
        const { data, headers: fields } = told(genuine);
        message.respond(data, fields === undefined ? {} : { headers: fields });
      });
    },
  });
  await between.flush();
  const operator = operatorAt(await connected(t, nats.url), plane.seed);
  const answers: Answer[] = [];
  told = (genuine) => {
    answers.push(genuine);
    return genuine;
  };
  t.is((await operator.call('get', {})).items.length, 1);
  const refusal = await t.throwsAsync(
    operator.call('history', { kind: 'HTTPRoute', namespace: 'default', name: 'x' }),
  );
  t.is(refusal?.name, 'ApiRefusal');
  const [earlier, refused] = answers as [Answer, Answer];
  const made = Buffer.from('{"ok":true,"response":{"items":[]}}');
  const notTaken = (message: RegExp) => ({ name: 'WeftError', code: 'denied', message });
  const get = () => operator.call('get', {});

  told = () => earlier;
  await t.throwsAsync(get(), notTaken(/^get: the answer was given to another call, so it is not taken/));
  told = () => refused;
  await t.throwsAsync(get(), notTaken(/was given to another call/));
  told = ({ headers: fields }) => ({ data: made, headers: fields });
  await t.throwsAsync(get(), notTaken(/was changed on its way/));
  told = ({ data }) => ({ data });
  await t.throwsAsync(
    get(),
    notTaken(/the answer is not signed, .*let nobody but controllers do that on NATS/),
  );
  const forger = signingKey(readRoot(createRoot().seed));
  told = ({ data }) => {
    const fields = headers();
    const given = { mesh: MESH, verb: 'get', call: Buffer.from(''), answer: data };
    fields.set(PROOF_HEADER, proveAnswer(forger, given));
    return { data, headers: fields };
  };
  await t.throwsAsync(
    get(),
    notTaken(/not signed by the root that is known here, .*If its root was replaced/),
  );
  const change = operator.call('delete', {
    names: [{ kind: 'HTTPRoute', namespace: 'default', name: 'orders' }],
  });
  await t.throwsAsync(change, notTaken(/Whether the change was made is not known; `weft history` tells/));
});

test('while one root takes the place of another, who knows either of them knows the controller', async (t) => {
  const plane = await startControlPlane(t);
  const [former, next] = [plane.seed, createRoot().seed];
  const { controller } = await plane.add({}, 'allow', { present: former, other: next });
  await until(() => controller.leading, 'it leads');
  t.deepEqual((await operatorAt(plane.client, former).call('get', {})).items, []);
  t.deepEqual((await operatorAt(plane.client, next).call('get', {})).items, []);
  await controller.stop();
  const { controller: after } = await plane.add({}, 'allow', { present: next, other: former });
  await until(() => after.leading, 'the next root signs');
  t.deepEqual((await operatorAt(plane.client, former).call('get', {})).items, []);
  t.deepEqual((await operatorAt(plane.client, next).call('get', {})).items, []);
  await after.stop();
  const { controller: last } = await plane.add({}, 'allow', { present: next });
  await until(() => last.leading, 'the former root is gone');
  t.deepEqual((await operatorAt(plane.client, next).call('get', {})).items, []);
  await t.throwsAsync(operatorAt(plane.client, former, next).call('get', {}), {
    message: /not signed by the root that is known here, .*If its root was replaced/,
  });
});

test('a command says that somebody else answers, ends with exit code 1, and acts on nothing of it', async (t) => {
  const { mesh, folder, weft } = await fakeController(t, nats.url, {});
  const liar = await connected(t, nats.url);
  for (const verb of ['identities', 'operators']) {
    const text = '{"ok":true,"response":{"items":[],"roots":[],"trust":null}}';
    liar.subscribe(apiSubject(mesh, verb), { callback: (_error, message) => void message.respond(text) });
  }
  await liar.flush();
  const config = join(folder, 'nats.conf');
  const { code, stderr } = await weft(['nats', 'config', '--out', config]);
  t.is(code, 1, stderr);
  t.regex(stderr, /^weft: identities: the answer is not signed, .*`weft nats config`/);
  t.notRegex(stderr, /history/, 'nothing was to be changed');
  await t.throwsAsync(stat(config));
});

test("an operator's credentials alone tell by which root the controller is known", async (t) => {
  const controller = await fakeController(t, nats.url, { services: () => ({ items: [] }) });
  const { mesh, folder, root, weft } = controller;
  t.is((await weft(['operator', 'create', 'ada', '--role', 'viewer', '--out', 'ada.operator'])).code, 0);
  const file = join(folder, 'ada.operator');
  const credentials = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  t.is(credentials.root, root.publicKey);
  const get = ['get', 'services', '--mesh', mesh, '--nats', nats.url, '--operator'];
  // Neither here nor above is there a context.
  const alone = await tempFolder(t);
  const run = (operator: string) => controller.weft([...get, operator], undefined, alone);
  t.like(await run(file), { code: 0 });
  const write = (name: string, changes: object) =>
    writeFile(join(folder, name), JSON.stringify({ ...credentials, ...changes }));
  await write('foreign.operator', { root: createRoot().publicKey });
  const foreign = await run(join(folder, 'foreign.operator'));
  t.is(foreign.code, 1);
  t.regex(foreign.stderr, /^weft: services: the answer is not signed by the root that is known here/);
  await write('earlier.operator', { root: undefined });
  const earlier = await run(join(folder, 'earlier.operator'));
  t.is(earlier.code, 2);
  t.regex(earlier.stderr, /no root of the mesh .* at hand.*--root/);
  await write('odd.operator', { root: 'AB' });
  t.is((await run(join(folder, 'odd.operator'))).code, 2);
});
