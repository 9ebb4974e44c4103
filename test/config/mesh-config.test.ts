import test from 'ava';
import { readMeshConfig } from '../../src/cli/mesh-config.ts';
import { places } from './faults.ts';

const read = (text: string) => () => readMeshConfig(text, '/srv/shop/mesh.yaml');
const AGENTS = `agents:
  - host: web-1
    admin: 127.0.0.1:15000
    workloads: [{ service: a, listen: "127.0.0.1:15001" }]
`;

test('without nats a server of our own takes the usual port', (t) => {
  t.deepEqual(read(`mesh: shop\n${AGENTS}`)().nats, { port: 4222 });
});

test('a server that runs already is taken as it is, its credentials found beside the file', (t) => {
  const { nats } = read(`mesh: shop\nnats: { servers: ["nats://bus:4222"], creds: a.creds }\n${AGENTS}`)();
  t.deepEqual(nats, { servers: ['nats://bus:4222'], creds: '/srv/shop/a.creds' });
});

test('a port and servers together are refused', (t) => {
  t.deepEqual(places(read(`mesh: shop\nnats: { port: 0, servers: ["nats://bus:4222"] }\n${AGENTS}`)), [
    '2:1 nats',
  ]);
});

test('two agents of one machine share no host name and no address, but a service may be on both', (t) => {
  const text = `mesh: shop\n${AGENTS}  - host: web-1
    admin: 127.0.0.1:15001
    workloads: [{ service: a, upstream: ["http://127.0.0.1:1"] }]
`;
  t.deepEqual(places(read(text)), ['6:5 agents[1].host', '7:5 agents[1].admin']);
});

test('an agent has no mesh and no nats of its own', (t) => {
  const text = `mesh: shop\n${AGENTS}    mesh: other\n    nats: {}\n`;
  t.deepEqual(places(read(text)), ['6:5 agents[0].mesh', '7:5 agents[0].nats']);
});

test('the doors of an agent are those of agent.yaml', (t) => {
  const text = `mesh: shop\n${AGENTS}    listen: unix:/run/weft/any.sock\n`;
  t.notThrows(read(text));
  const wrong = `mesh: shop\nagents:\n  - host: web-1\n    admin: 127.0.0.1:15000\n    workloads: [{ service: a, listen: "unix:/a", uid: 1 }]\n`;
  t.deepEqual(places(read(wrong)), ['5:50 agents[0].workloads[0].uid']);
});

test('policies are read, beside the file', (t) => {
  t.deepEqual(read(`mesh: shop\npolicies: [policies]\n${AGENTS}`)().policies, ['/srv/shop/policies']);
});
