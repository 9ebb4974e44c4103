import { resolve } from 'node:path';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { EXIT } from './exit.ts';
import { labelOf } from './label.ts';
import { createMesh, meshFolder } from './mesh-folder.ts';
import { readNatsServers } from './nats-servers.ts';

export interface InitOptions {
  readonly mesh: string;
  readonly dir: string;
  readonly nats: string;
  readonly defaultAction?: DefaultAction;
}

/** `weft init`: makes the root of a new mesh and says what to do with it. */
export async function init(options: InitOptions): Promise<number> {
  const mesh = labelOf('--mesh', options.mesh);
  const servers = readNatsServers(options.nats);
  const folder = meshFolder(resolve(options.dir));
  const { rootPublicKey } = await createMesh(folder, mesh, servers, options.defaultAction);
  process.stdout.write(`mesh ${mesh}, root ${rootPublicKey}

${folder.rootFile} is the secret of the whole mesh: whoever has it is the mesh.
Controllers and those who run the mesh need it, agents do not; keep it readable for weft alone.

Next, for each host, while a controller runs:
  weft token create --host HOST --workloads SERVICE,...
and there:
  WEFT_JOIN_TOKEN=... weft agent -f agent.yaml
or a whole mesh on this machine:
  weft up -f mesh.yaml
`);
  return EXIT.done;
}
