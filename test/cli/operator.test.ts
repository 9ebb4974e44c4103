/** The operator's commands against a whole mesh that `weft up` runs. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { freePort } from '../kit/free-port.ts';
import { ask, until } from '../kit/mesh.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';
import { routeYaml } from './fake-controller.ts';

async function startBackend(t: ExecutionContext, name: string): Promise<string> {
  const backend = createServer((_request, response) => response.end(name)).listen(0, '127.0.0.1');
  t.teardown(() => backend.close().closeAllConnections());
  await once(backend, 'listening');
  return `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
}

test('a route is applied, explained, looked at, changed, rolled back and deleted', async (t) => {
  const folder = await tempFolder(t);
  const [one, two] = [await startBackend(t, 'one'), await startBackend(t, 'two')];
  const [door, ...admins] = [await freePort(), await freePort(), await freePort()];
  await writeFile(
    join(folder, 'mesh.yaml'),
    `mesh: shop
nats: { port: 0 }
agents:
  - host: web-1
    admin: 127.0.0.1:${admins[0]}
    workloads: [{ service: checkout, listen: "127.0.0.1:${door}" }]
  - host: app-1
    admin: 127.0.0.1:${admins[1]}
    workloads:
      - { service: orders, upstream: ["${one}"] }
      - { service: orders-v2, upstream: ["${two}"] }
`,
  );
  const up = startWeft(t, ['up', '-f', join(folder, 'mesh.yaml')]);
  await up.line(/^weft: ready$/);
  const run = async (...args: readonly string[]) => {
    const weft = startWeft(t, args, { cwd: folder, env: { WEFT_CONTEXT: '' } });
    const code = await weft.exited;
    return { code, stdout: weft.stdout(), stderr: weft.stderr() };
  };
  const asked = async () => (await ask(door!, 'orders')).body.toString();
  await until(async () => (await run('get', 'services', '-A')).stdout.includes('orders-v2.default'), 'known');
  t.is(await asked(), 'one');

  const file = join(folder, 'orders.yaml');
  const to = (backend: string) => routeYaml('orders', `[{ backendRefs: [{ name: ${backend}, port: 80 }] }]`);
  await writeFile(file, to('orders-v2'));
  t.is((await run('diff', '-f', file)).code, 1);
  const applied = await run('apply', '-f', file, '--wait');
  t.is(applied.code, 0, applied.stderr);
  t.is(applied.stdout, 'httproute/orders created (revision 1)');
  t.regex(applied.stderr, /^orders\.default: (\d) of \1 agents$/m);
  t.is(await asked(), 'two');
  t.like(await run('diff', '-f', file), { code: 0, stdout: '' });

  const explained = await run('explain', 'GET', 'http://orders/', '--from', 'checkout');
  t.is(explained.code, 0, explained.stderr);
  t.regex(explained.stdout, /^winner +default\/orders rule 0$/m);
  t.regex(explained.stdout, /orders-v2\.default {2}weight 1, 100 %/);
  t.regex(explained.stdout, /app-1 +ready +yes/);

  const printed = await run('get', 'httproute/orders', '-o', 'yaml');
  await writeFile(file, printed.stdout);
  t.is((await run('apply', '-f', file)).stdout, 'httproute/orders unchanged (revision 1)');

  await writeFile(file, to('orders'));
  t.is((await run('apply', '-f', file, '--wait')).stdout, 'httproute/orders configured (revision 2)');
  t.is(await asked(), 'one');
  t.is((await run('rollback', 'httproute/orders', '--to', '1', '--wait')).code, 0);
  t.is(await asked(), 'two');
  const history = (await run('history', 'httproute/orders')).stdout.split('\n');
  t.deepEqual(
    history.slice(1).map((line) => [line.split(/ +/)[0], line.split(/ +/).at(-1)]),
    [
      ['1', 'created'],
      ['2', 'configured'],
      ['3', 'configured'],
    ],
  );

  t.regex((await run('describe', 'service/orders-v2')).stdout, /^endpoints +1 of 1 ready$/m);
  const check = await run('check');
  t.is(check.code, 0, check.stdout);
  t.is((await run('delete', 'httproute/orders', '--wait')).code, 0);
  t.is(await asked(), 'one');
  t.is((await run('get', 'httproute/orders')).code, 1);
});
