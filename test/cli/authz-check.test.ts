import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readMeshConfig } from '../../src/cli/mesh-config.ts';
import { ensureMesh, findDefaultAction, meshFolder } from '../../src/cli/mesh-folder.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import type { Snapshot } from '../../src/protocol/snapshot.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';
import { policy, snapshotOf } from '../protocol/authorization/policies.ts';
import { fakeController } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

const NO_ADMIN = policy('no-admin', 'DENY', [{ to: [{ paths: ['/admin', '/admin/*'] }] }]);
const READERS = policy('readers', 'ALLOW', [
  { name: 'get', from: [{ services: ['checkout'] }], to: [{ methods: ['GET'] }] },
]);
const WATCH = policy('watch', 'AUDIT', [{ to: [{ paths: ['/o/*'] }] }]);

/** A mesh that publishes the policies of `orders.default`. */
async function published(t: ExecutionContext, policies: readonly string[], more: object = {}) {
  const controller = await fakeController(t, nats.url, {
    snapshot: ({ service }) => {
      const snapshot: Snapshot = { ...snapshotOf(policies), mesh: controller.mesh };
      const document = signDocument(signingKey(controller.root), 'weft-snapshot', snapshot);
      return { snapshot: service === 'orders.default' ? document : null, endpoints: null };
    },
    ...more,
  });
  return controller;
}

const check = (...args: readonly string[]) => ['authz', 'check', '--to', 'orders', ...args];

test('authz check says what was decided, by which rule, and why the others do not match', async (t) => {
  const { weft, mesh } = await published(t, [NO_ADMIN, READERS, WATCH]);
  const { code, stdout, stderr } = await weft(
    check('--from', 'checkout', '--method', 'get', '--path', '//o/%37?x=1'),
  );
  t.is(code, 0, stderr);
  t.is(
    stdout,
    `request   GET //o/%37?x=1, read as /o/7
from      checkout.default, spiffe://${mesh}/ns/default/sa/checkout
to        orders.default
policies  those of snapshot 42, signed by the root
default   allow

  ACTION  RULE                      REVISION  VERDICT
  DENY    default/no-admin rule 0   7         to: the request does not fit
  ALLOW   default/readers rule get  7         matches
  AUDIT   default/watch rule 0      7         matches

audited   by default/watch rule 0 (revision 7)
decision  ALLOW by default/readers rule get (revision 7)`,
  );
});

test('a denial is exit code 1, and a path of two readings is told as such', async (t) => {
  const { weft } = await published(t, [NO_ADMIN, READERS]);
  const denied = await weft(check('--from', 'checkout', '--path', '/x/../admin'));
  t.is(denied.code, 1);
  t.regex(denied.stdout, /read as \/admin\n/);
  t.regex(
    denied.stdout,
    /decision {2}DENY by default\/no-admin rule 0 \(revision 7\)\nthe agent answers 403 denied$/,
  );
  const anonymous = await weft(check());
  t.is(anonymous.code, 1);
  t.regex(anonymous.stdout, /^from +anonymous$/m);
  t.regex(anonymous.stdout, /decision {2}DENY by the mesh: no-allow-matches \(snapshot 42\)/);
  const strange = await weft(check('--from', 'checkout', '--path', '/a%2Fb'));
  t.is(strange.code, 1);
  t.regex(strange.stdout, /it holds an encoded slash\nthe agent answers 400 ambiguous_path$/);
});

test('authz check --at takes the policies as they stood then', async (t) => {
  const { weft, asked } = await published(t, [NO_ADMIN], {
    get: ({ at }: { at: number }) =>
      at > 12
        ? { code: 'not_found', message: `there is no revision ${at}: the last one is 12` }
        : {
            items: [
              {
                apiVersion: 'weft.dev/v1',
                kind: 'AuthorizationPolicy',
                metadata: { name: 'old', namespace: 'default', revision: 9 },
                spec: { targetRef: { kind: 'Service', name: 'orders' }, action: 'DENY', rules: [{}] },
              },
            ],
          },
  });
  const then = await weft(check('--from', 'checkout', '--at', '12', '-o', 'json'));
  t.is(then.code, 1, then.stderr);
  const told = JSON.parse(then.stdout);
  t.like(told, {
    at: 12,
    allowed: false,
    decision: { action: 'DENY', policy: 'default/old', rule: '0', revision: 9 },
  });
  t.deepEqual(asked.at(-1)?.request, { kind: 'AuthorizationPolicy', at: 12 });
  const late = await weft(check('--at', '13'));
  t.is(late.code, 1);
  t.regex(late.stderr, /there is no revision 13/);
});

test('authz check refuses what it cannot ask', async (t) => {
  const { weft } = await published(t, []);
  for (const [args, message] of [
    [['authz', 'check', '--path', '/'], /--to/],
    [check('--from', 'Checkout!'), /--from: expected a service/],
    [check('--path', 'x'), /--path: expected a path/],
    [check('--path', '/a b'), /an agent refuses such a request at its door/],
    [check('--at', 'yesterday'), /--at: expected a revision/],
  ] as const) {
    const { code, stderr } = await weft(args);
    t.is(code, 2, args.join(' '));
    t.regex(stderr, message);
  }
});

test('explain tells the decision of each backend, if it is said who asks', async (t) => {
  const { weft } = await published(t, [NO_ADMIN, READERS]);
  const denied = await weft(['explain', 'GET', 'http://orders/admin', '--from', 'checkout']);
  t.is(denied.code, 1);
  t.regex(
    denied.stdout,
    /authorize {2}DENY by default\/no-admin rule 0 \(revision 7\)\n.*the agent answers 403 denied/,
  );
  const allowed = await weft(['explain', 'GET', 'http://orders/./o', '--from', 'checkout']);
  t.regex(
    allowed.stdout,
    /authorize {2}ALLOW by default\/readers rule get \(revision 7\)\n.*is asked for \/o\n/,
  );
  t.notRegex((await weft(['explain', 'GET', 'http://orders/o'])).stdout, /authorize/);
});

test('init keeps the default of the mesh in its context, from where up and controller have it', async (t) => {
  const dir = await tempFolder(t);
  t.is(await startWeft(t, ['init', '--mesh', 'shop', '--dir', dir, '--default-action', 'deny']).exited, 0);
  t.is(await startWeft(t, ['init', '--mesh', 'shop', '--dir', dir, '--default-action', 'maybe']).exited, 2);
  const root = join(dir, 'root.nk');
  t.is(await findDefaultAction(root), 'deny');
  await ensureMesh(meshFolder(dir), 'shop', ['nats://127.0.0.1:1']);
  t.is(await findDefaultAction(root), 'deny');
  const file = join(dir, 'context.json');
  const context = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...context, defaultAction: 'Deny' }));
  await t.throwsAsync(findDefaultAction(root), {
    message: /defaultAction: found "Deny", expected allow or deny/,
  });
  t.is(await findDefaultAction(join(await tempFolder(t), 'root.nk')), undefined);
});

test('mesh.yaml can say the default', (t) => {
  const yaml = (end: string) =>
    `mesh: shop\nagents: [{ host: a, admin: "127.0.0.1:1", workloads: [] }]\n${end}`;
  t.is(readMeshConfig(yaml('authorization: { default: deny }'), 'mesh.yaml').defaultAction, 'deny');
  t.is(readMeshConfig(yaml(''), 'mesh.yaml').defaultAction, undefined);
  t.throws(() => readMeshConfig(yaml('authorization: { default: maybe }'), 'mesh.yaml'), {
    message: /allow or deny/,
  });
});
