import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { freePort } from './free-port.ts';
import { giveIdentity } from './identity-file.ts';
import { ask, MESH, type TestMesh } from './mesh.ts';
import { tempFolder } from './temp-folder.ts';
import { startWeft, type WeftProcess } from './weft-process.ts';

export interface AgentProcess {
  readonly weft: WeftProcess;
  /** The door of `calls`. */
  readonly door: number;
  /** The services whose endpoint list it holds, with the revisions. */
  lists(): Promise<Record<string, readonly number[]>>;
}

/** An agent as a process of its own that can be killed or stopped; resolves when it serves. */
export async function startAgentProcess(
  t: ExecutionContext,
  mesh: Pick<TestMesh, 'nats' | 'seed'>,
  host: string,
  workload: { readonly service: string; readonly port?: number; readonly calls?: boolean },
): Promise<AgentProcess> {
  const folder = await tempFolder(t);
  const [file, data] = [join(folder, 'agent.yaml'), join(folder, 'data')];
  const [admin, door] = [await freePort(), await freePort()];
  const { service, port, calls } = workload;
  const config = {
    mesh: MESH,
    host,
    nats: { servers: [mesh.nats.url] },
    admin: `127.0.0.1:${admin}`,
    data,
    // Not every mesh of these tests has a controller.
    authorization: { default: 'allow' },
    workloads: [
      {
        service,
        ...(port === undefined ? {} : { upstream: [`http://127.0.0.1:${port}`] }),
        ...(calls === true ? { listen: `127.0.0.1:${door}` } : {}),
      },
    ],
  };
  await giveIdentity(data, mesh.seed, MESH, host, [`${service}.default`]);
  await writeFile(file, JSON.stringify(config));
  const weft = startWeft(t, ['agent', '-f', file]);
  await weft.line(/"state":"serving"/);
  return {
    weft,
    door,
    async lists() {
      const { body } = await ask(admin, 'localhost', '/config');
      return JSON.parse(body.toString()).publications.endpoints;
    },
  };
}
