import { readFileSync } from 'node:fs';
import test from 'ava';
import { parse } from 'yaml';
import { readAgentConfig } from '../../src/agent/config.ts';

interface Service {
  image?: string;
  command?: string[];
  ports?: string[];
  volumes?: string[];
  network_mode?: string;
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[]; disable?: boolean };
}

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const compose = parse(read('compose.yaml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const services = Object.entries(compose.services);
const ALL = [
  'nats-1',
  'nats-2',
  'nats-3',
  'root',
  'controller',
  'tokens',
  'web-1',
  'app-1',
  'frontend',
  'orders',
  'payments',
];
const NATS = ALL.slice(0, 3);
const AGENTS = ['web-1', 'app-1'];

test('compose.yaml has a NATS cluster of three, a controller, two agents and the sample applications', (t) => {
  t.deepEqual(Object.keys(compose.services), ALL);
  for (const [name, service] of services) {
    t.is(service.image, NATS.includes(name) ? 'nats:2.10-alpine' : 'node:24-alpine', name);
    t.true(Array.isArray(service.command), `${name} has a command`);
  }
});

test('every node of the cluster has its own name and store, JetStream, and a route to each of the three', (t) => {
  for (const name of NATS) {
    const { command = [], volumes } = compose.services[name]!;
    t.true(command.includes(`--name=${name}`));
    t.true(command.includes('--cluster_name=weft'));
    t.true(command.includes('--jetstream'));
    t.true(command.includes('--store_dir=/data'));
    t.true(command.includes(`--routes=${NATS.map((node) => `nats://${node}:6222`).join(',')}`));
    t.deepEqual(volumes, [`${name}:/data`]);
  }
});

test('what a service refers to is there', (t) => {
  for (const [name, { depends_on: needed = {}, volumes = [], network_mode: network }] of services) {
    for (const [other, { condition }] of Object.entries(needed)) {
      t.truthy(compose.services[other], `${name} depends on ${other}`);
      const { test: check } = compose.services[other]?.healthcheck ?? {};
      t.true(condition !== 'service_healthy' || check !== undefined, `${other} can tell its health`);
    }
    for (const volume of volumes) {
      const source = volume.split(':')[0]!;
      t.true(source === '.' || source in compose.volumes, `${name} mounts ${source}`);
    }
    if (network === undefined) continue;
    t.true(AGENTS.includes(network.replace('service:', '')), `${name} lives on the host of an agent`);
  }
});

test('published ports are on loopback and none is published twice', (t) => {
  const published = services.flatMap(([, { ports = [] }]) => ports);
  const addresses = published.map((port) => port.slice(0, port.lastIndexOf(':')));
  t.is(new Set(addresses).size, addresses.length);
  for (const address of addresses) t.regex(address, /^127\.0\.0\.1:\d+$/);
});

test('the root is where controllers are and tokens are made, and on no host', (t) => {
  const mounting = (volume: string) =>
    services
      .filter(([, { volumes = [] }]) => volumes.some((one) => one.startsWith(`${volume}:`)))
      .map(([name]) => name);
  t.deepEqual(mounting('root-key'), ['root', 'controller', 'tokens']);
  t.deepEqual(mounting('tokens'), ['tokens', ...AGENTS]);
  const script = compose.services.tokens?.command?.at(-1) ?? '';
  for (const host of AGENTS) {
    t.deepEqual(mounting(host), [host], 'its identity is its own');
    const file = `demo/compose/${host}.yaml`;
    const names = readAgentConfig(read(file), file).workloads.map(({ service }) =>
      service.replace('.default', ''),
    );
    t.true(script.includes(`invite ${host} ${names.join(',')}\n`), host);
    t.true(compose.services[host]?.command?.includes(`@/tokens/${host}`));
  }
});

for (const host of AGENTS) {
  test(`the agent ${host} has a valid configuration that reaches every node and fits its applications`, (t) => {
    const file = `demo/compose/${host}.yaml`;
    t.true(compose.services[host]?.command?.includes(file));
    const config = readAgentConfig(read(file), file);
    t.is(config.host, host);
    t.deepEqual(
      [...config.nats.servers],
      NATS.map((node) => `nats://${node}:4222`),
    );
    const doors = config.workloads.flatMap(({ listen }) => (listen && 'port' in listen ? [listen.port] : []));
    const upstreams = config.workloads.flatMap(({ upstream }) => upstream.map(({ port }) => port));
    const here = services.filter(([, { network_mode: network }]) => network === `service:${host}`);
    for (const [name, { environment = {} }] of here) {
      const { PORT, DOOR } = environment;
      if (DOOR !== undefined) t.true(doors.includes(Number(DOOR.split(':')[1])), `the door of ${name}`);
      if (name !== 'frontend') t.true(upstreams.includes(Number(PORT)), `the upstream of ${name}`);
    }
    t.is(here.length, host === 'web-1' ? 1 : 2);
  });
}
