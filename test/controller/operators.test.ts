/** What operators may do, and that nobody else may. */
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import type { CallSigner } from '../../src/cli/context.ts';
import { createCallGuard, NONCE_MS } from '../../src/controller/api/call-guard.ts';
import { CONTROLLER_LIMITS } from '../../src/controller/limits.ts';
import type { Verb } from '../../src/protocol/api.ts';
import { type ApiAnswer, signCall } from '../../src/protocol/api-call.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import type { Role } from '../../src/protocol/operator.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { until } from '../kit/mesh.ts';
import { operatorOf } from '../kit/operator.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';

const ORDERS = { kind: 'HTTPRoute', namespace: 'default', name: 'orders' };
const APPLY = { resources: [route('orders', 'orders.default', 'a')] };
const TOKEN = {
  host: 'app-1',
  workloads: ['orders.default'],
  ttlMs: 60_000,
  sealTo: Buffer.alloc(32, 9).toString('base64url'),
};
const S = Math.floor(Date.now() / 1000);

async function startLeader(t: ExecutionContext) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  return { ...plane, controller };
}

const codeOf = (answer: ApiAnswer<unknown>) => (answer.ok ? 'ok' : answer.error.code);
/** On a busy machine a lease of a test may end for a moment. */
const settled = (ask: () => Promise<ApiAnswer<unknown>>) =>
  until(async () => {
    const code = codeOf(await ask());
    return code !== 'not_leading' && code;
  }, 'somebody leads');
const messageOf = (answer: ApiAnswer<unknown>) => (answer.ok ? '' : answer.error.message);

test('a viewer reads and changes nothing, an editor changes resources, an admin all', async (t) => {
  const plane = await startLeader(t);
  const viewer = plane.operator('vic', 'viewer');
  const editor = plane.operator('ed', 'editor');
  const admin = plane.operator('ann', 'admin');
  t.is(codeOf(await plane.call('get', {}, viewer)), 'ok');
  const refused = await plane.call('apply', APPLY, viewer);
  t.is(codeOf(refused), 'denied');
  t.regex(messageOf(refused), /apply asks for the role editor, and vic has viewer: .*weft operator create/);
  t.is(codeOf(await plane.call('apply', APPLY, editor)), 'ok');
  t.is(codeOf(await plane.call('delete', { names: [ORDERS], dryRun: true }, editor)), 'ok');
  t.regex(
    messageOf(await plane.call('token', TOKEN, editor)),
    /token asks for the role admin, and ed has editor/,
  );
  t.is(codeOf(await plane.call('revokeOperator', { name: 'vic' }, editor)), 'denied');
  t.is(codeOf(await plane.call('token', TOKEN, admin)), 'ok');
  const metrics = await plane.controller.metrics.registry.metrics();
  t.regex(metrics, /weft_controller_denials_total\{reason="role"\} 3/);
});

test('the history names the operator, whatever the call says of its author', async (t) => {
  const plane = await startLeader(t);
  const call = plane.sign('apply', APPLY, plane.operator('ed', 'editor'), { author: 'ann' });
  t.is(codeOf(await plane.raw('apply', call)), 'ok');
  const { entries } = await plane.done('history', ORDERS);
  t.is(entries[0]?.author, 'ed');
});

test('reads on the bus are signed too', async (t) => {
  const plane = await startLeader(t);
  t.is(codeOf(await plane.raw('get', '{}')), 'denied');
  t.is(codeOf(await plane.raw('get', '')), 'denied');
  const viewer = plane.operator('vic', 'viewer');
  const read = plane.sign('get', {}, viewer);
  t.is(codeOf(await plane.raw('get', read)), 'ok');
  t.is(codeOf(await plane.raw('get', read)), 'ok', 'to repeat a read changes nothing');
  t.is(
    codeOf(await plane.raw('get', plane.sign('get', {}, viewer, { timeMs: Date.now() - 90_000 }))),
    'denied',
  );
});

test('credentials of another root, of another key, for another mesh or too old are none', async (t) => {
  const plane = await startLeader(t);
  const stranger = signingKey(readRoot(createRoot().seed));
  const editor = plane.operator('ed', 'editor');
  const viewer = plane.operator('vic', 'viewer');
  const all = {
    'made by another root': operatorOf(stranger, MESH, 'ed', 'editor'),
    'of another mesh': plane.operator('ed', 'editor', { mesh: 'other' }),
    expired: plane.operator('ed', 'editor', { iat: S - 100, exp: S - 1 }),
    'signed with another key': { key: viewer.key, document: editor.document },
    'not made by the root': { key: editor.key },
    'named by the root without a role': plane.operator('ed', 'owner' as never),
  };
  for (const [what, by] of Object.entries(all))
    t.is(codeOf(await plane.call('apply', APPLY, by)), 'denied', what);
  const [document, call] = plane.sign('apply', APPLY, editor).split('~');
  t.is(codeOf(await plane.raw('apply', `${call}~${document}`)), 'denied', 'in the wrong order');
  t.deepEqual((await plane.done('get', {})).items, []);
});

test('a call is carried out once, and none that was held back after a later one', async (t) => {
  const plane = await startLeader(t);
  const editor = plane.operator('ed', 'editor');
  const earlier = Date.now() - 1_000;
  const first = plane.sign('apply', APPLY, editor);
  t.is(codeOf(await plane.raw('apply', first)), 'ok');
  t.is(codeOf(await plane.raw('apply', first)), 'denied');
  const heldBack = plane.sign('delete', { names: [ORDERS] }, editor, { timeMs: earlier });
  t.is(codeOf(await plane.raw('delete', heldBack)), 'conflict');
  const elsewhere = { timeMs: Date.now() - 1_000, author: 'ed@other-clock' };
  t.is(codeOf(await plane.raw('apply', plane.sign('apply', APPLY, editor, elsewhere))), 'ok');
  t.is((await plane.done('get', {})).items.length, 1);
});

test('an operator that is revoked may nothing from then on, nor at the next leader, and with new credentials again', async (t) => {
  const plane = await startLeader(t);
  const known = plane.operator('ed', 'editor', { iat: S - 10 });
  const unknown = plane.operator('ed', 'editor', { iat: S - 10 });
  await plane.done('addOperator', { document: known.document });
  t.is(codeOf(await plane.call('apply', APPLY, unknown)), 'ok', 'it holds without being known');
  t.deepEqual(await plane.done('revokeOperator', { name: 'ed' }), { known: 1 });
  for (const by of [known, unknown]) {
    for (const verb of ['apply', 'get'] as const) {
      const answer = await plane.call(verb, verb === 'apply' ? APPLY : {}, by);
      t.regex(messageOf(answer), /the credentials of ed were revoked/);
    }
  }
  t.is(codeOf(await plane.call('addOperator', { document: known.document })), 'denied');
  await plane.controller.stop();
  const { controller } = await plane.add();
  await until(() => controller.leading, 'the next one leads');
  const asked = (by: CallSigner) => settled(() => plane.call('apply', APPLY, by));
  t.is(await asked(known), 'denied');
  const anew = plane.operator('ed', 'editor', { iat: S + 30 });
  t.is(await asked(anew), 'ok');
  const { items } = await plane.done('operators', {});
  t.deepEqual(
    items.map(({ name, role, state }) => [name, role, state]),
    [['ed', 'editor', 'revoked']],
  );
});

test('a controller that stands by knows at once who was revoked', async (t) => {
  const plane = await startLeader(t);
  const { controller: other } = await plane.add();
  await until(() => other.ready, 'the other stands by');
  const viewer = plane.operator('vic', 'viewer', { iat: S - 10 });
  const asked = async () => codeOf(await other.api.answer('get', plane.sign('get', {}, viewer), 'bus'));
  t.is(await asked(), 'ok');
  await plane.done('revokeOperator', { name: 'vic' });
  t.is(await asked(), 'denied');
});

test('what an admin had carried out is not carried out again by the next leader', async (t) => {
  const plane = await startLeader(t);
  const call = plane.sign('token', TOKEN, plane.operator('ann', 'admin'));
  t.is(codeOf(await plane.raw('token', call)), 'ok');
  await plane.controller.stop();
  const { controller } = await plane.add();
  await until(() => controller.leading, 'the next one leads');
  t.is(await settled(() => plane.raw('token', call)), 'denied');
});

test('J4: an operator has a share of the calls that are remembered, and whoever else calls has another one', async (t) => {
  const root = readRoot(createRoot().seed);
  let nowMs = Date.now();
  const guard = createCallGuard({
    rootKeys: () => verificationKey(root.publicKey),
    mesh: MESH,
    wallMs: () => nowMs,
    revoked: async () => false,
    certain() {},
    denied() {},
  });
  const call = (verb: Verb, by: CallSigner) => {
    const nonce = randomBytes(16).toString('hex');
    const text = { verb, mesh: MESH, timeMs: nowMs, nonce, author: 'x', request: {} };
    return guard.open(verb, signCall(by.key, text, by.document)).then(
      () => 'ok',
      ({ message }) => message,
    );
  };
  const of = (name: string, role: Role) => operatorOf(signingKey(root), MESH, name, role);
  const [eve, ed, ann] = [of('eve', 'editor'), of('ed', 'editor'), of('ann', 'admin')];
  const answers = new Set<string>();
  for (let count = 0; count < CONTROLLER_LIMITS.noncesPerOperatorMax; count++)
    answers.add(await call('apply', eve));
  t.deepEqual([...answers], ['ok']);
  t.regex(await call('apply', eve), /too many calls/);
  t.is(await call('apply', ed), 'ok');
  t.is(await call('revokeOperator', ann), 'ok');
  t.is(await call('revokeOperator', { key: signingKey(root) }), 'ok');
  nowMs += NONCE_MS + 1;
  t.is(await call('apply', eve), 'ok', 'what is too old to come again takes no place');
});
