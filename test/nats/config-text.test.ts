import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { findNatsServer } from '../../src/cli/nats-binary.ts';
import { type NatsConfigOptions, natsConfigText } from '../../src/nats/config-text.ts';
import { accountUsers, type NatsUsers } from '../../src/nats/users.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { createKey } from './walled-nats.ts';

const run = promisify(execFile);
const key = () => createKey().publicKey;
const OPTIONS: NatsConfigOptions = { mesh: 'shop', storeDir: '/var/lib/nats', storeBytesMax: 1_000_000 };

function usersWith(change: Partial<NatsUsers> = {}): NatsUsers {
  return {
    agents: [{ agent: 'app-1', key: key(), workloads: ['orders.default'] }],
    operators: [{ name: 'ada', role: 'admin', key: key() }],
    controllers: [key()],
    join: key(),
    system: key(),
    ...change,
  };
}

/** Has nats-server itself read the text. */
async function accepted(t: ExecutionContext, text: string): Promise<void> {
  const file = join(await tempFolder(t), 'nats.conf');
  await writeFile(file, text);
  await run(await findNatsServer(process.env.PATH ?? ''), ['-t', '-c', file]);
  t.pass();
}

test('nats-server takes what is written, for a mesh without agents and for one with hundreds', async (t) => {
  await accepted(t, natsConfigText(usersWith({ agents: [], operators: [] }), OPTIONS));
  const agents = Array.from({ length: 100 }, (_, index) => ({
    agent: `host-${index}`,
    key: key(),
    workloads: Array.from({ length: index % 30 }, (_, at) => `service-${at}.default`),
  }));
  await accepted(
    t,
    natsConfigText(usersWith({ agents }), {
      ...OPTIONS,
      listen: '[::1]:4222',
      pidFile: '/run/with "quotes" and \\/nats.pid',
    }),
  );
});

test('the same users are written in the same way, in whatever order they come', (t) => {
  const agents = ['b', 'a', 'c'].map((agent) => ({
    agent,
    key: key(),
    workloads: ['x.default', 'a.default'],
  }));
  const users = usersWith({ agents });
  const turned = agents.toReversed().map((one) => ({ ...one, workloads: one.workloads.toReversed() }));
  t.is(natsConfigText({ ...users, agents: turned }, OPTIONS), natsConfigText(users, OPTIONS));
});

test('what is no name, no key and no role is refused, and so cannot write a line of its own', (t) => {
  const sound = { agent: 'a', key: key(), workloads: ['orders.default'] };
  const odd: Partial<NatsUsers>[] = [
    { agents: [{ ...sound, agent: 'a\n}' }] },
    { agents: [{ ...sound, agent: '*' }] },
    { agents: [{ ...sound, agent: undefined as never }] },
    { agents: [{ ...sound, key: `${sound.key}, permissions: {}` }] },
    { agents: [{ ...sound, key: 'UAAAA' }] },
    { agents: [{ ...sound, workloads: ['orders.default", ">'] }] },
    { agents: [{ ...sound, workloads: ['*.default'] }] },
    { agents: [{ ...sound, workloads: ['orders.>'] }] },
    { agents: [{ ...sound, workloads: ['orders.default other'] }] },
    { operators: [{ name: 'ada\n', role: 'admin', key: key() }] },
    { operators: [{ name: 'ada', role: 'root' as never, key: key() }] },
    { controllers: ['>'] },
    { join: '' },
    { system: createKey().seed },
  ];
  for (const change of odd) {
    const error = t.throws(() => natsConfigText(usersWith(change), OPTIONS), {
      message: /nothing was written/,
    });
    t.notRegex(error?.message ?? '', /SU[A-Z2-7]{56}/);
  }
  t.throws(() => natsConfigText(usersWith(), { ...OPTIONS, mesh: 'a.b' }));
  t.throws(() => natsConfigText(usersWith(), { ...OPTIONS, storeDir: '/a\nlisten: x' }), {
    message: /control/,
  });
});

test('an agent whose keys are replaced may come with either, and a key of two agents may do what both may', (t) => {
  const [one, two] = [key(), key()];
  const agents = [
    { agent: 'a', key: one, workloads: ['orders.default'] },
    { agent: 'a', key: two, workloads: ['orders.default'] },
    { agent: 'b', key: two, workloads: ['users.default'] },
  ];
  const { mesh } = accountUsers('shop', usersWith({ agents, operators: [] }));
  t.is(mesh.length, 3);
  const heardBy = (wanted: string) => mesh.find((user) => user.key === wanted)?.permissions.subscribe ?? [];
  t.true(heardBy(one).includes('weft.shop.svc.default.orders weft'));
  t.false(heardBy(one).includes('weft.shop.svc.default.users weft'));
  t.true(heardBy(two).includes('weft.shop.svc.default.orders weft'));
  t.true(heardBy(two).includes('weft.shop.svc.default.users weft'));
});

test('no key stands on both sides of the wall', (t) => {
  const shared = key();
  const agents = [{ agent: 'a', key: shared, workloads: [] }];
  t.throws(() => accountUsers('shop', usersWith({ agents, controllers: [shared] })), {
    message: /agent a has the key/,
  });
  t.throws(() => accountUsers('shop', usersWith({ join: shared, system: shared })));
  t.throws(() => accountUsers('shop', usersWith({ controllers: [shared], system: shared })));
});

test('nobody has an empty list, which nats-server would take for a permission to do everything', (t) => {
  const agents = [{ agent: 'a', key: key(), workloads: [] }];
  const { mesh, controllers } = accountUsers('shop', usersWith({ agents }));
  for (const { permissions } of [...mesh, ...controllers]) {
    t.true(permissions.publish.length > 0);
    t.true(permissions.subscribe.length > 0);
  }
});

test('TLS names its files', (t) => {
  const tls = { cert: '/etc/weft/server.pem', key: '/etc/weft/server.key', ca: '/etc/weft/ca.pem' };
  const line =
    'tls: { cert_file: "/etc/weft/server.pem", key_file: "/etc/weft/server.key", ca_file: "/etc/weft/ca.pem" }';
  t.true(
    natsConfigText(usersWith(), { ...OPTIONS, tls })
      .split('\n')
      .includes(line),
  );
  t.notRegex(natsConfigText(usersWith(), OPTIONS), /tls/);
});
