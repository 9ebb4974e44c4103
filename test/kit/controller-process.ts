import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { freePort } from './free-port.ts';
import { MESH, type TestMesh } from './mesh.ts';
import { tempFolder } from './temp-folder.ts';
import { startWeft } from './weft-process.ts';

/** A controller as a process of its own, which can be killed and started again, and the operator who talks to it. */
export async function startControllerProcess(t: ExecutionContext, mesh: Pick<TestMesh, 'nats' | 'seed'>) {
  const folder = await tempFolder(t);
  const root = join(folder, 'root.nk');
  await writeFile(root, mesh.seed, { mode: 0o600 });
  const target = ['--nats', mesh.nats.url, '--mesh', MESH, '--root', root];
  const start = async () =>
    startWeft(t, ['controller', ...target, '--admin', `127.0.0.1:${await freePort()}`]);
  const run = async (...args: readonly string[]) => {
    const weft = startWeft(t, [...args, ...target]);
    const code = await weft.exited;
    return { code, stdout: weft.stdout(), stderr: weft.stderr() };
  };
  let running = await start();
  return {
    root,
    async kill() {
      running.child.kill('SIGKILL');
      await running.exited;
    },
    async restart() {
      running = await start();
    },
    /** A command of the operator, to its end. */
    run,
    /** Exit code of `weft check`. */
    check: async () => (await run('check')).code,
    apply: async (file: string) => (await run('apply', '-f', file)).code,
    /** Applies resources in one file and waits until every agent that is concerned has them. */
    async applied(...resources: readonly string[]) {
      const file = join(folder, 'resources.yaml');
      await writeFile(file, resources.join('\n---\n'));
      const { code, stderr } = await run('apply', '-f', file, '--wait');
      t.is(code, 0, stderr);
    },
  };
}
