import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import type { ChangeResult } from '../../src/protocol/api.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { fakeController, routeYaml } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

const route = { kind: 'HTTPRoute', namespace: 'default' };
const nothing: ChangeResult = { changes: [], warnings: [], snapshots: [] };
const snapshots = [{ service: 'orders.default', revision: [1, 7] as const }];

test('apply sends the resources of files and folders in order, signed, and says what became of each', async (t) => {
  const controller = await fakeController(t, nats.url, {
    apply: () => ({
      changes: [
        { ...route, name: 'orders', action: 'created', revision: 12 },
        { ...route, namespace: 'shop', name: 'cart', action: 'unchanged', revision: 3 },
      ],
      warnings: ['HTTPRoute default/orders: spec: is it meant?'],
      snapshots,
    }),
  });
  await mkdir(join(controller.folder, 'routes', 'deep'), { recursive: true });
  await writeFile(join(controller.folder, 'routes', 'b.yml'), `${routeYaml('b1')}---\n${routeYaml('b2')}`);
  await writeFile(join(controller.folder, 'routes', 'deep', 'c.json'), '{ "kind": "List", "items": [] }');
  await writeFile(join(controller.folder, 'routes', 'a.yaml'), routeYaml('a'));
  await writeFile(join(controller.folder, 'routes', 'notes.txt'), 'not: a resource');
  const { code, stdout, stderr } = await controller.weft(
    ['apply', '-f', 'routes', '-f', '-'],
    routeYaml('piped'),
  );
  t.is(code, 0, stderr);
  t.is(stdout, 'httproute/orders created (revision 12)\nhttproute/cart -n shop unchanged (revision 3)');
  t.is(stderr, 'warning: HTTPRoute default/orders: spec: is it meant?');
  const [{ request, call } = { request: undefined, call: undefined }] = controller.asked;
  const { resources, dryRun } = request as { resources: { metadata: { name: string } }[]; dryRun: boolean };
  t.deepEqual(
    resources.map(({ metadata }) => metadata.name),
    ['a', 'b1', 'b2', 'piped'],
  );
  t.false(dryRun);
  t.is(call?.author, `${userInfo().username}@${hostname()}`);
});

test('faults of the files and those that only the controller sees are told at once, each at its place', async (t) => {
  const controller = await fakeController(t, nats.url, {
    apply: () => ({
      code: 'invalid',
      message: 'one fault in one resource; nothing was changed',
      faults: [
        { resource: 1, path: ['spec', 'parentRefs', 0, 'name'], found: '"x"', expected: 'another one' },
      ],
    }),
  });
  await writeFile(join(controller.folder, 'good.yaml'), `${routeYaml('a')}---\n${routeYaml('b')}`);
  await writeFile(join(controller.folder, 'bad.yaml'), routeYaml('c').replace('parentRefs', 'parentRef'));
  const both = await controller.weft(['apply', '-f', 'good.yaml', '-f', 'bad.yaml']);
  t.is(both.code, 2);
  t.is(
    both.stderr,
    'good.yaml:12:44: spec.parentRefs[0].name: found "x", expected another one\n' +
      'bad.yaml:5:3: spec.parentRef: found an unknown field, expected parentRefs (is that what was meant?)',
  );
  t.like(controller.asked[0], { request: { dryRun: true } }, 'nothing of it may take effect');

  const one = await controller.weft(['apply', '-f', 'good.yaml']);
  t.is(one.code, 2);
  t.is(one.stderr, 'good.yaml:12:44: spec.parentRefs[0].name: found "x", expected another one');
});

test('what is wrong in the files is told without a controller too', async (t) => {
  const { weft, folder } = await fakeController(t, nats.url, {});
  await writeFile(join(folder, 'bad.yaml'), `${routeYaml('a')}---\n${routeYaml('c').replace('kind', 'knd')}`);
  const { code, stderr } = await weft(['apply', '-f', 'bad.yaml']);
  t.is(code, 2);
  t.regex(stderr, /^bad\.yaml:8:1: kind: found nothing/);
});

test('a dry run changes nothing and says so', async (t) => {
  const controller = await fakeController(t, nats.url, {
    apply: () => ({ ...nothing, changes: [{ ...route, name: 'orders', action: 'configured' }] }),
  });
  const { code, stdout } = await controller.weft(['apply', '-f', '-', '--dry-run', '--wait'], routeYaml('a'));
  t.is(code, 0);
  t.is(stdout, 'httproute/orders configured (dry run)');
  t.like(controller.asked, { length: 1, 0: { request: { dryRun: true } } });
});

test('--wait tells how far it is, and ends when all agents have applied it', async (t) => {
  const counts = [3, 3, 5];
  const controller = await fakeController(t, nats.url, {
    apply: () => ({ ...nothing, snapshots }),
    programmed: (request, turn) => {
      t.deepEqual(request, { snapshots });
      return { items: [{ service: 'orders.default', applied: counts[turn], of: 5 }] };
    },
  });
  const { code, stderr } = await controller.weft(['apply', '-f', '-', '--wait'], routeYaml('a'));
  t.is(code, 0);
  t.is(stderr, 'orders.default: 3 of 5 agents\norders.default: 5 of 5 agents');
});

test('--wait that runs out of time is a refusal', async (t) => {
  const controller = await fakeController(t, nats.url, {
    apply: () => ({ ...nothing, snapshots }),
    programmed: () => ({ items: [{ service: 'orders.default', applied: 1, of: 2 }] }),
  });
  const { code, stderr } = await controller.weft(
    ['apply', '-f', '-', '--wait', '--timeout', '2s'],
    routeYaml('a'),
  );
  t.is(code, 1);
  t.regex(
    stderr,
    /^orders\.default: 1 of 2 agents\nweft: not applied everywhere within the time: orders\.default/,
  );
});

test('--wait does not count on agents that fell silent, and says who they are', async (t) => {
  const lost = { service: 'orders.default', applied: 0, of: 0, lost: ['app-2'] };
  const behind = { service: 'users.default', applied: 0, of: 1, waiting: ['app-1'] };
  const controller = await fakeController(t, nats.url, {
    apply: () => ({ ...nothing, snapshots }),
    programmed: () => ({ items: [lost, behind] }),
  });
  const { code, stderr } = await controller.weft(
    ['apply', '-f', '-', '--wait', '--timeout', '500ms'],
    routeYaml('a'),
  );
  t.is(code, 1);
  t.regex(stderr, /^orders\.default: 0 of 0 agents; lost: app-2$/m);
  t.regex(stderr, /orders\.default \(app-2 went without a word .*\), users\.default \(waits for app-1\)/);
});

test('a refusal of the controller has its message and exit code 1', async (t) => {
  const controller = await fakeController(t, nats.url, {
    apply: () => ({ code: 'conflict', message: 'somebody else was faster\u001b[2J' }),
  });
  const { code, stdout, stderr } = await controller.weft(['apply', '-f', '-'], routeYaml('a'));
  t.is(code, 1);
  t.is(stdout, '');
  t.is(stderr, 'weft: somebody else was faster [2J', 'without what a terminal would obey');
});

test('a call that no controller has taken is made again, when one leads', async (t) => {
  const controller = await fakeController(t, nats.url, {
    apply: (_request, turn) => (turn < 2 ? { code: 'not_leading', message: 'not me' } : nothing),
  });
  t.is((await controller.weft(['apply', '-f', '-'], routeYaml('a'))).code, 0);
  const nonces = controller.asked.map(({ call }) => call?.nonce);
  t.is(new Set(nonces).size, 3);
});

test('without a leader nothing is changed, which is told as that', async (t) => {
  const controller = await fakeController(t, nats.url, { programmed: () => ({ items: [] }) });
  const { code, stderr } = await controller.weft(['apply', '-f', '-'], routeYaml('a'));
  t.is(code, 3);
  t.regex(stderr, /^weft: no controller of the mesh shop-\d+ leads.*weft check/);
});

test('without a controller, or without NATS, it is said what is missing', async (t) => {
  const { weft } = await fakeController(t, nats.url, {});
  const alone = await weft(['apply', '-f', '-'], routeYaml('a'));
  t.is(alone.code, 3);
  t.regex(alone.stderr, /^weft: NATS at \S+ answers, but no controller of the mesh shop-\d+ does: start one/);
  const away = await weft(['apply', '-f', '-', '--nats', 'nats://127.0.0.1:1'], routeYaml('a'));
  t.is(away.code, 3);
  t.regex(
    away.stderr,
    /^weft: cannot reach NATS at nats:\/\/127\.0\.0\.1:1 \(connection refused\): does it run/,
  );
});

test('a controller that hangs has its call answered by the one that takes over, once', async (t) => {
  const controller = await fakeController(t, nats.url, {
    apply: (_request, turn) => (turn === 0 ? 'silence' : nothing),
  });
  t.is((await controller.weft(['apply', '-f', '-'], routeYaml('a'))).code, 0);
  const nonces = controller.asked.map(({ call }) => call?.nonce);
  t.is(nonces.length, 2);
  t.is(new Set(nonces).size, 1, 'a copy of the same call: whoever has carried it out refuses it');
});

test('a controller that does not answer leaves it open whether the change was made', async (t) => {
  const { weft } = await fakeController(t, nats.url, { apply: () => 'silence' });
  const { code, stderr } = await weft(['apply', '-f', '-'], routeYaml('a'));
  t.is(code, 3);
  t.regex(stderr, /did not answer within 10 s: whether the change was made is not known/);
});

test('what is no answer of a controller is refused', async (t) => {
  const { weft } = await fakeController(t, nats.url, { apply: () => ({ changes: [{ action: 'sold' }] }) });
  const { code, stderr } = await weft(['apply', '-f', '-'], routeYaml('a'));
  t.is(code, 1);
  t.regex(stderr, /not one that this release understands/);
});

test('nothing to apply, and files that are not there, are matters of usage', async (t) => {
  const { weft, folder } = await fakeController(t, nats.url, {});
  await mkdir(join(folder, 'empty'));
  t.regex((await weft(['apply', '-f', 'empty'])).stderr, /^weft: there are no resources in empty/);
  t.regex(
    (await weft(['apply', '-f', 'gone.yaml'])).stderr,
    /^weft: cannot read gone\.yaml: there is no such/,
  );
  t.is((await weft(['apply', '-f', 'empty'])).code, 2);
  t.is((await weft(['apply', '-f', '-', '--timeout', 'soon'], routeYaml('a'))).code, 2);
  t.is((await weft(['apply'])).code, 2);
});

test('what stands in the files twice is told with both places', async (t) => {
  const controller = await fakeController(t, nats.url, { apply: () => nothing });
  await writeFile(join(controller.folder, 'a.yaml'), routeYaml('a'));
  await writeFile(join(controller.folder, 'b.yaml'), `${routeYaml('b')}---\n${routeYaml('a')}`);
  const { code, stderr } = await controller.weft(['apply', '-f', 'a.yaml', '-f', 'b.yaml']);
  t.is(code, 2);
  t.is(
    stderr,
    'b.yaml:10:13: metadata.name: found "HTTPRoute default/a", expected each resource once: a.yaml:3:13 is the same',
  );
  t.true(
    controller.asked.every(({ request }) => (request as { dryRun: boolean }).dryRun),
    'nothing of it may take effect',
  );
});

test('files that hold something else are one fault each, and never more than a screen can hold', async (t) => {
  const { weft, folder } = await fakeController(t, nats.url, {});
  const route = JSON.stringify(parse(routeYaml('a')));
  for (const [name, content, told] of [
    [
      'binary.yaml',
      Buffer.from([0x7f, 0x45, 0, 1, 2, 58, 10, 9]),
      '1:1: found a binary file, expected YAML or JSON',
    ],
    [
      'two.json',
      `${route}\n${route}\n`,
      '2:1: found a second JSON document, expected one, or a line with --- betw',
    ],
    ['large.yaml', `a: ${'x'.repeat(3 * 1024 * 1024)}`, '1:1: found a larger file, expected at most 1 MiB'],
  ] as const) {
    await writeFile(join(folder, name), content);
    const { code, stderr } = await weft(['apply', '-f', name]);
    t.is(code, 2);
    t.true(stderr.startsWith(`${name}:${told}`), stderr);
    t.is(stderr.split('\n').length, 1);
  }
  await writeFile(join(folder, 'many.yaml'), 'kind: X\n---\n'.repeat(300));
  const many = await weft(['apply', '-f', 'many.yaml']);
  t.is(many.stderr.split('\n').length, 101);
  t.regex(many.stderr, /\nweft: and 200 more faults$/);
  await writeFile(join(folder, 'long.yaml'), `${routeYaml('a')}  ${'k'.repeat(50_000)}: 1\n`);
  t.true((await weft(['apply', '-f', 'long.yaml'])).stderr.length < 1_000);
});

test('JSON documents with --- between them are taken', async (t) => {
  const controller = await fakeController(t, nats.url, { apply: () => nothing });
  const [a, b] = ['a', 'b'].map((name) => JSON.stringify(parse(routeYaml(name))));
  t.is((await controller.weft(['apply', '-f', '-'], `${a}\n---\n${b}\n`)).code, 0);
  const { resources } = controller.asked[0]!.request as { resources: unknown[] };
  t.is(resources.length, 2);
});

test('names of files in capitals count, and what cannot be read in a folder stops all of it', async (t) => {
  const controller = await fakeController(t, nats.url, { apply: () => nothing });
  await mkdir(join(controller.folder, 'routes'));
  await writeFile(join(controller.folder, 'routes', 'UP.YAML'), routeYaml('a'));
  t.is((await controller.weft(['apply', '-f', 'routes'])).code, 0);
  t.is(controller.asked.length, 1);
  await symlink('loop.yaml', join(controller.folder, 'routes', 'loop.yaml'));
  const { code, stderr } = await controller.weft(['apply', '-f', 'routes']);
  t.is(code, 1);
  t.is(stderr, 'weft: cannot read routes/loop.yaml: ELOOP; nothing was sent');
  t.is(controller.asked.length, 1);
});

test('-n is explained where files say the namespace', async (t) => {
  const { weft } = await fakeController(t, nats.url, {});
  for (const command of ['apply', 'diff']) {
    const { code, stderr } = await weft([command, '-f', '-', '-n', 'shop'], routeYaml('a'));
    t.is(code, 2);
    t.regex(stderr, /^weft: -n: the namespaces of resources stand in the files: write metadata\.namespace/);
  }
});

test('more than a call can hold is refused with what to do', async (t) => {
  const { weft } = await fakeController(t, nats.url, { apply: () => nothing });
  const routes = Array.from({ length: 1_001 }, (_, at) => routeYaml(`r${at}`)).join('---\n');
  const { code, stderr } = await weft(['apply', '-f', '-'], routes);
  t.is(code, 2);
  t.regex(stderr, /^weft: 1001 resources, and a call takes at most 1000: send fewer files at a time/);
});

test('delete names what is in files, or what is named, and all goes in one call', async (t) => {
  const controller = await fakeController(t, nats.url, {
    delete: () => ({ ...nothing, changes: [{ ...route, name: 'a', action: 'deleted', revision: 9 }] }),
  });
  await writeFile(join(controller.folder, 'a.yaml'), routeYaml('a'));
  const { code, stdout } = await controller.weft(['delete', 'hr/b', '-n', 'shop', '-f', 'a.yaml']);
  t.is(code, 0);
  t.is(stdout, 'httproute/a deleted (revision 9)');
  t.deepEqual(controller.asked[0]?.request, {
    names: [
      { kind: 'HTTPRoute', namespace: 'shop', name: 'b' },
      { kind: 'HTTPRoute', namespace: 'default', name: 'a' },
    ],
    dryRun: false,
  });
  t.is((await controller.weft(['delete'])).code, 2);
  t.is((await controller.weft(['delete', 'hr'])).code, 2);
});

test('rollback asks for the revision, and waits for the agents', async (t) => {
  const controller = await fakeController(t, nats.url, {
    rollback: () => ({
      ...nothing,
      changes: [{ ...route, name: 'a', action: 'configured', revision: 9 }],
      snapshots,
    }),
    programmed: () => ({ items: [{ service: 'orders.default', applied: 0, of: 0 }] }),
  });
  const { code, stdout, stderr } = await controller.weft([
    'rollback',
    'httproute',
    'a',
    '--to',
    '4',
    '--wait',
  ]);
  t.is(code, 0);
  t.is(stdout, 'httproute/a configured (revision 9)');
  t.is(stderr, 'orders.default: no agent wants it');
  t.deepEqual(controller.asked[0]?.request, { kind: 'HTTPRoute', namespace: 'default', name: 'a', to: 4 });
  t.is((await controller.weft(['rollback', 'httproute/a', '--to', 'last'])).code, 2);
});
