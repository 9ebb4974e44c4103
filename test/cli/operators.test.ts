/** `weft operator` and `weft audit`, and who may do what with them. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { auditSubject } from '../../src/protocol/subjects.ts';
import { MESH, startControlPlane } from '../controller/control-plane.ts';
import { freePort } from '../kit/free-port.ts';
import { until } from '../kit/mesh.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';
import { routeYaml } from './fake-controller.ts';

/** A folder from which a mesh is reached; with its root, or without. */
async function meshFolderOf(t: ExecutionContext, url: string, seed: string, rooted: boolean) {
  const folder = await tempFolder(t);
  await mkdir(join(folder, '.weft'));
  const context = { mesh: MESH, nats: [url], rootPublicKey: readRoot(seed).publicKey };
  await writeFile(join(folder, '.weft', 'context.json'), JSON.stringify(context));
  if (rooted) await writeFile(join(folder, '.weft', 'root.nk'), `${seed}\n`);
  return folder;
}

async function run(t: ExecutionContext, folder: string, args: readonly string[], operator = '') {
  const weft = startWeft(t, args, { cwd: folder, env: { WEFT_CONTEXT: '', WEFT_OPERATOR: operator } });
  const code = await weft.exited;
  return { code, stdout: weft.stdout(), stderr: weft.stderr() };
}

test('an operator is made with the root, does what the role lets it, is seen in the audit, and is revoked', async (t) => {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add({ leaseMs: 60_000, leaseTrustMs: 50_000 });
  await until(() => controller.leading, 'it leads');
  const home = await meshFolderOf(t, plane.nats.url, plane.seed, true);
  const create = (name: string, role: string) => [
    'operator',
    'create',
    name,
    '--role',
    role,
    '--ttl',
    '30d',
    '--out',
    `${name}.operator`,
  ];
  const made = await run(t, home, create('ed', 'editor'));
  t.is(made.code, 0, made.stderr);
  t.notRegex(made.stdout + made.stderr, /SU[A-Z2-7]{56}|does not know/);
  t.is((await run(t, home, create('vic', 'viewer'))).code, 0);
  const file = join(home, 'ed.operator');
  t.is((await stat(file)).mode & 0o777, 0o600);
  const again = await run(t, home, create('ed', 'admin'));
  t.like(again, { code: 2 });
  t.regex(again.stderr, /ed\.operator exists/);
  t.regex((await run(t, home, ['get', 'operators'])).stdout, /^ed +editor +valid .*\nvic +viewer +valid /m);

  const away = await meshFolderOf(t, plane.nats.url, plane.seed, false);
  await writeFile(join(away, 'orders.yaml'), routeYaml('orders'));
  const apply = ['apply', '-f', 'orders.yaml'];
  const nobody = await run(t, away, ['get', 'all']);
  t.like(nobody, { code: 2 });
  t.regex(nobody.stderr, /no credentials for the mesh test: .*--operator or WEFT_OPERATOR/);
  const refused = await run(t, away, [...apply, '--operator', join(home, 'vic.operator')]);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /apply asks for the role editor, and vic has viewer/);
  const applied = await run(t, away, apply, file);
  t.is(applied.code, 0, applied.stderr);
  const context = JSON.parse(await readFile(join(away, '.weft', 'context.json'), 'utf8')) as object;
  await writeFile(
    join(away, '.weft', 'context.json'),
    JSON.stringify({ ...context, operator: '../ed.operator' }),
  );
  await writeFile(join(away, 'ed.operator'), await readFile(file));
  t.regex((await run(t, away, ['history', 'httproute/orders'])).stdout, /^1 .* ed +created$/m);

  t.is((await run(t, home, ['operator', 'revoke', 'ed'])).code, 0);
  const ended = await run(t, away, ['get', 'all']);
  t.is(ended.code, 1);
  t.regex(ended.stderr, /the credentials of ed were revoked/);
  t.regex((await run(t, home, ['operator', 'revoke', 'nobody'])).stderr, /spelt right/);

  const audit = await until(async () => {
    const seen = await run(t, home, ['audit', '--since', '1h']);
    return seen.stdout.includes('operator/nobody') && seen;
  }, 'all is written');
  t.is(audit.code, 0, audit.stdout);
  t.regex(audit.stdout, /vic +viewer +apply +operator\/vic +refused: role/);
  t.regex(audit.stdout, /ed +editor +apply +httproute\/default\/orders +1/);
  t.regex(audit.stdout, /\(root\) +root +revokeOperator +operator\/ed/);
  const { items } = JSON.parse((await run(t, home, ['audit', '-o', 'json'])).stdout);
  const change = items.find(
    ({ verb, outcome }: Record<string, string>) => verb === 'apply' && outcome === 'done',
  );
  t.like(change, { author: 'ed', checked: 'signed', revision: 1 });
  t.is(change.after.metadata.name, 'orders');
  plane.client.publish(auditSubject(MESH, 'apply'), JSON.stringify(change));
  await plane.client.flush();
  const forged = await until(async () => {
    const seen = await run(t, home, ['audit']);
    return seen.stdout.includes('UNSIGNED') && seen;
  }, 'what somebody else wrote is seen');
  t.is(forged.code, 1);
});

test('an operator can be made while nothing runs, and not without the root', async (t) => {
  const { seed } = createRoot();
  const url = `nats://127.0.0.1:${await freePort()}`;
  const create = ['operator', 'create', 'ed', '--role', 'editor', '--out', 'ed.operator'];
  const home = await meshFolderOf(t, url, seed, true);
  const made = await run(t, home, create);
  t.is(made.code, 0, made.stderr);
  t.regex(made.stderr, /does not know of it \(cannot reach NATS .*the credentials hold without that/);
  const away = await meshFolderOf(t, url, seed, false);
  const refused = await run(t, away, create);
  t.like(refused, { code: 2 });
  t.regex(refused.stderr, /cannot read the mesh root/);
  await t.throwsAsync(stat(join(away, 'ed.operator')));
  t.regex((await run(t, home, [...create, '--ttl', '400d'])).stderr, /--ttl: expected a duration/);
  t.regex((await run(t, home, create.with(2, 'Ed'))).stderr, /NAME: expected a DNS label/);
});

test('credentials of another mesh, or a file that is none, are not used', async (t) => {
  const plane = await startControlPlane(t);
  const home = await meshFolderOf(t, plane.nats.url, plane.seed, true);
  const create = ['operator', 'create', 'ed', '--role', 'editor', '--out', 'ed.operator', '--mesh', 'other'];
  const made = await run(t, home, [...create, '--nats', plane.nats.url, '--root', '.weft/root.nk']);
  t.is(made.code, 0, made.stderr);
  const foreign = await run(t, home, ['get', 'all', '--operator', 'ed.operator']);
  t.regex(foreign.stderr, /is for the mesh "other", and the command is about test/);
  await writeFile(join(home, 'odd.operator'), '{"seed":"SUAX"}');
  const odd = await run(t, home, ['get', 'all', '--operator', 'odd.operator']);
  t.like(odd, { code: 2 });
  t.regex(odd.stderr, /expected the whole file/);
  t.notRegex(odd.stderr, /SUAX/);
});
