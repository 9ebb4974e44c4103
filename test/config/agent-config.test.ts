import test from 'ava';
import { readAgentConfig } from '../../src/agent/config.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';
import { faultsOf, places } from './faults.ts';

const HEAD = `mesh: shop
host: web-1
nats: { servers: ["nats://127.0.0.1:4222"] }
admin: 127.0.0.1:15000
`;
const read =
  (text: string, platform = 'linux') =>
  () =>
    readAgentConfig(text, '/etc/weft/agent.yaml', platform);
const readWorkload = (workload: string, platform?: string) =>
  read(`${HEAD}workloads:\n  - ${workload}\n`, platform);

test('the agent.yaml of the design is understood', (t) => {
  const config = read(`${HEAD}listen: "[::1]:15099"
drain: 1m30s
data: kept
authorization: { default: deny }
workloads:
  - service: checkout
    upstream: ["http://127.0.0.1:8081", "http://[::1]:8082"]
    listen: 127.0.0.1:15001
    uid: [33, www-data]
    health: { path: /healthz, interval: 2s, timeout: 500ms, healthyAfter: 1, unhealthyAfter: 3 }
    labels: { version: v1, zone: a }
  - service: { name: mail, namespace: shop }
    listen: unix:/run/weft/mail.sock
  - service: cart
    listen: { unix: /run/weft/cart.sock, mode: "0660", owner: cart, group: 1001 }
`)();
  t.deepEqual(config, {
    mesh: 'shop',
    host: 'web-1',
    nats: { servers: ['nats://127.0.0.1:4222'], creds: undefined },
    admin: { host: '127.0.0.1', port: 15000 },
    listen: { host: '::1', port: 15099 },
    drainMs: 90_000,
    data: '/etc/weft/kept',
    defaultAction: 'deny',
    workloads: [
      {
        service: 'checkout.default',
        upstream: [
          { host: '127.0.0.1', port: 8081 },
          { host: '::1', port: 8082 },
        ],
        listen: { host: '127.0.0.1', port: 15001 },
        uid: [33, 'www-data'],
        health: {
          path: '/healthz',
          expect: [[200, 399]],
          intervalMs: 2000,
          jitter: 0.1,
          timeoutMs: 500,
          healthyAfter: 1,
          unhealthyAfter: 3,
        },
        labels: { version: 'v1', zone: 'a' },
      },
      {
        service: 'mail.shop',
        upstream: [],
        listen: { path: '/run/weft/mail.sock', mode: 0o600, owner: undefined, group: undefined },
        uid: undefined,
        health: undefined,
        labels: {},
      },
      {
        service: 'cart.default',
        upstream: [],
        listen: { path: '/run/weft/cart.sock', mode: 0o660, owner: 'cart', group: 1001 },
        uid: undefined,
        health: undefined,
        labels: {},
      },
    ],
  });
  t.true(Object.isFrozen(config) && Object.isFrozen(config.workloads[0]?.upstream));
});

test('what is left out has its default', (t) => {
  const config = readWorkload('{ service: a, listen: "127.0.0.1:1", health: { path: / } }')();
  t.is(config.drainMs, 30_000);
  t.deepEqual(config.workloads[0]?.health, {
    path: '/',
    expect: [[200, 399]],
    intervalMs: 2000,
    jitter: 0.1,
    timeoutMs: 1000,
    healthyAfter: 1,
    unhealthyAfter: 3,
  });
});

test('every fault is reported at once, each with its place', (t) => {
  const text = `mesh: Shop
host: web_1
nats: { servers: [] }
admin: 0.0.0.0:15000
drain: 0s
workloads:
  - service: checkout
    upstrem: ["http://127.0.0.1:8081"]
    listen: 10.0.0.1:15001
  - service: { name: A, nam: x }
    upstream: ["http://127.0.0.1:8081/x"]
    health: { interval: 2 }
  - service: orders
  - service: b
    listen: 127.0.0.1:15002
  - service: b.default
    listen: 127.0.0.1:15002
`;
  t.deepEqual(places(read(text)), [
    '1:1 mesh',
    '2:1 host',
    '3:9 nats.servers',
    '4:1 admin',
    '5:1 drain',
    '8:5 workloads[0].upstrem',
    '9:5 workloads[0].listen',
    '10:16 workloads[1].service.name',
    '10:25 workloads[1].service.nam',
    '11:16 workloads[1].upstream[0]',
    '12:5 workloads[1].health',
    '12:15 workloads[1].health.interval',
    '13:5 workloads[2]',
    '16:5 workloads[4].service',
    '17:5 workloads[4].listen',
  ]);
});

test('health is looked at by path or by connection, not by both', (t) => {
  const health = (text: string) => readWorkload(`{ service: a, listen: "127.0.0.1:1", health: { ${text} } }`);
  t.like(health('tcp: true, jitter: 0')().workloads[0]?.health, { path: undefined, jitter: 0 });
  t.deepEqual(health('path: /, expect: [204, "300-302"]')().workloads[0]?.health?.expect, [
    [204, 204],
    [300, 302],
  ]);
  for (const wrong of ['tcp: true, path: /', 'tcp: true, expect: [200]', 'interval: 1s']) {
    t.deepEqual(
      faultsOf(health(wrong)).map(({ field }) => field),
      ['workloads[0].health'],
      wrong,
    );
  }
  for (const wrong of ['99', '600', '"300-200"', '"2xx"', '"200-"']) {
    const [fault, ...more] = faultsOf(health(`path: /, expect: [${wrong}]`));
    t.deepEqual([fault?.field, more.length], ['workloads[0].health.expect[0]', 0], wrong);
  }
});

test('an unknown field is told which one was likely meant', (t) => {
  const [fault] = faultsOf(readWorkload('{ service: a, listen: "127.0.0.1:1", lables: {} }'));
  t.is(fault?.found, 'an unknown field');
  t.regex(fault?.expected ?? '', /^labels /);
});

test('an unknown field that is like none is told what there is', (t) => {
  const [fault] = faultsOf(readWorkload('{ service: a, listen: "127.0.0.1:1", quux: 1 }'));
  t.is(fault?.expected, 'one of service, upstream, listen, uid, health, labels');
});

test('a door that is not on loopback is refused, with the reason', (t) => {
  for (const listen of [
    '0.0.0.0:1',
    '10.0.0.1:1',
    ':1',
    'localhost:1',
    '[::]:1',
    '127.0.0.1',
    '127.0.0.1:0',
    'unix:a',
  ]) {
    const [fault, ...more] = faultsOf(readWorkload(`{ service: a, listen: "${listen}" }`));
    t.is(fault?.field, 'workloads[0].listen', listen);
    t.regex(fault?.expected ?? '', /a door gives its identity to whoever can connect/);
    t.is(more.length, 0);
  }
});

test('a socket has a path that the system takes, and its mode in octal and quotes', (t) => {
  const listen = (text: string) => readWorkload(`{ service: a, listen: ${text} }`);
  const fits = `/${'é'.repeat(53)}`;
  t.notThrows(listen(`"unix:${fits}"`));
  t.notThrows(listen(`{ unix: ${fits}, mode: "0600", owner: 0 }`));
  const wrong: readonly (readonly [text: string, field: string])[] = [
    [`"unix:${fits}x"`, ''],
    [`{ unix: ${fits}x }`, '.unix'],
    ['{ unix: run/a.sock }', '.unix'],
    ['{ unix: /a, mode: 0660 }', '.mode'],
    ['{ unix: /a, mode: "660" }', '.mode'],
    ['{ unix: /a, mode: "0668" }', '.mode'],
    ['{ unix: /a, owner: -1 }', '.owner'],
    ['{ unix: /a, owner: "a:b" }', '.owner'],
    ['{ unix: /a, group: 4294967295 }', '.group'],
    ['{ mode: "0660" }', '.unix'],
    ['{ unix: /a, user: a }', '.user'],
    ['[1]', ''],
  ];
  for (const [text, field] of wrong) {
    const faults = faultsOf(listen(text)).map((fault) => fault.field);
    t.deepEqual(faults, [`workloads[0].listen${field}`], text);
  }
});

test('uid stands beside a port, and on Linux', (t) => {
  const expected = (workload: string, platform?: string) =>
    faultsOf(readWorkload(`{ service: a, ${workload} }`, platform)).map(
      (fault) => `${fault.field}: ${fault.expected}`,
    );
  const port = 'listen: "127.0.0.1:1"';
  t.deepEqual(expected(`${port}, uid: app`), []);
  const wrong: readonly (readonly [uid: string, fault: string])[] = [
    ['-1', 'workloads[0].uid: a name like www-data'],
    ['1.5', 'workloads[0].uid: a name like www-data'],
    ['""', 'workloads[0].uid: a name like www-data'],
    ['{}', 'workloads[0].uid: a name like www-data'],
    ['[app, -1]', 'workloads[0].uid[1]: a name like www-data'],
    ['[]', 'workloads[0].uid: 1 to 16 different users: only their processes may use the door'],
    ['[app, app]', 'workloads[0].uid: 1 to 16 different users: only their processes may use the door'],
  ];
  for (const [uid, fault] of wrong) {
    t.deepEqual(
      expected(`${port}, uid: ${uid}`).map((whole) => whole.split(',')[0]),
      [fault],
      uid,
    );
  }
  for (const socket of ['unix:/a', '{ unix: /a }']) {
    const [fault, ...more] = expected(`listen: ${socket}, uid: 1`);
    t.regex(fault ?? '', /^workloads\[0\]\.uid: mode, owner and group of the socket instead/);
    t.is(more.length, 0);
  }
  t.regex(expected('upstream: ["http://a:1"], uid: 1')[0] ?? '', /a door \(listen\) beside it/);
  t.regex(expected(`${port}, uid: 1`, 'darwin')[0] ?? '', /only Linux tells .* this is darwin$/);
});

test('the door for callers without identity is on loopback or a socket, and shares no address', (t) => {
  const at = (listen: string) =>
    places(read(`${HEAD}listen: ${listen}\nworkloads: [{ service: a, listen: { unix: /a } }]\n`));
  t.deepEqual(at('"127.0.0.1:15099"'), []);
  t.deepEqual(at('"0.0.0.0:15099"'), ['5:1 listen']);
  t.deepEqual(at('127.0.0.1:15000'), ['5:1 listen']);
  t.deepEqual(at('unix:/a'), ['6:27 workloads[0].listen']);
});

test('an upstream is http://host:port and nothing else', (t) => {
  const wrong = [
    'https://a:1',
    'http://a',
    'http://a:0',
    'http://a:65536',
    'http://a:1/x',
    'http://u@a:1',
    'a:1',
    'http://a:1?q',
  ];
  for (const upstream of wrong) {
    t.deepEqual(
      places(readWorkload(`{ service: a, upstream: ["${upstream}"] }`)),
      ['6:30 workloads[0].upstream[0]'],
      upstream,
    );
  }
});

test('a workload has a door, an upstream or both', (t) => {
  t.deepEqual(places(readWorkload('{ service: a }')), ['6:5 workloads[0]']);
});

test('the admin address and a door cannot be one', (t) => {
  t.deepEqual(places(readWorkload('{ service: a, listen: "127.0.0.1:15000" }')), [
    '6:19 workloads[0].listen',
  ]);
});

test('passwords and seeds that stand in a file do not show in a fault', (t) => {
  const seed = 'SAAKXZ3KOGZPJOXYDNQT6ERJWXHH5FCIR3RWNQSIUVKOFFIVH2NQBDOLAE';
  const text = `mesh: shop\nhost: ${seed}\nnats: { servers: ["nats://me:hunter2@bus:4222"] }\nadmin: x\nworkloads: []\n`;
  const faults = faultsOf(read(text));
  t.is(faults.length, 3);
  t.notRegex(JSON.stringify(faults), /hunter2|KXZ3KOGZ/);
});

test('more workloads than one identity can name are refused where they stand, and it is said how many fit', (t) => {
  const list = (count: number) =>
    read(
      `${HEAD}workloads:\n${Array.from({ length: count }, (_, at) => `  - { service: s${at}, listen: "unix:/s${at}" }\n`).join('')}`,
    );
  t.is(faultsOf(list(200)).length, 0);
  const [fault, ...more] = faultsOf(list(900));
  t.is(more.length, 0);
  t.is(fault?.field, 'workloads');
  t.is(fault?.found, 'a list of 900');
  const fit = Number(/first (\d+)/.exec(fault?.expected ?? '')?.[1]);
  t.is(faultsOf(list(fit)).length, 0);
  t.is(faultsOf(list(fit + 1)).length, 1);
  // What is let pass can be issued.
  const issue = (count: number) => {
    const workloads = list(count)().workloads.map(({ service }) => service);
    createRootKeyring({
      rootSeed: createRoot().seed,
      mesh: 'shop',
      agent: 'web-1',
      workloads,
      now: Date.now,
    });
  };
  t.notThrows(() => issue(fit));
});
