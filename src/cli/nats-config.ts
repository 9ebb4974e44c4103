/** `weft nats config`: the configuration of a nats-server that lets each part of the mesh do what its role needs, and no more. */
import { access, constants } from 'node:fs/promises';
import { resolve } from 'node:path';
import { writeNatsConfig } from '../nats/config-file.ts';
import { type NatsConfigOptions, natsConfigText } from '../nats/config-text.ts';
import type { NatsUsers } from '../nats/users.ts';
import { withApi } from './api-client.ts';
import { type ContextOptions, resolveContext } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { ensureNatsKeys } from './nats-keys.ts';
import { note } from './output.ts';
import { ownUsers } from './own-nats.ts';
import { allItems } from './pages.ts';

export interface NatsConfigCommandOptions extends ContextOptions {
  readonly out?: string;
  readonly pidFile?: string;
  readonly listen: string;
  readonly storeDir: string;
  readonly maxStore: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  /** There is no server to ask whom the mesh has enrolled. */
  readonly first?: boolean;
}

const NOBODY: Pick<NatsUsers, 'agents' | 'operators'> = { agents: [], operators: [] };
const LISTEN = /^(?:\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):\d{1,5}$/;
const SIZE = /^(\d{1,6})(MB|GB|TB)$/;
const UNIT = { MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 } as const;

/** @throws UsageError; UnreachableError and ApiRefusal if whom the mesh has enrolled cannot be asked */
export async function natsConfig(options: NatsConfigCommandOptions): Promise<number> {
  const context = await resolveContext(options, { cwd: process.cwd(), env: process.env });
  if (context.folder === undefined) {
    throw new UsageError(
      'the folder of the mesh is needed, where the keys of its NATS users are: name its root.nk with --root, or its context file with --context',
    );
  }
  const config = await serverOptions(options, context.mesh);
  const keys = await ensureNatsKeys(context.folder);
  const { agents, operators } = options.first === true ? NOBODY : await enrolled(options);
  const own = ownUsers(keys);
  const users: NatsUsers = { ...own, agents, operators: [...operators, ...own.operators] };
  if (options.out === undefined) {
    process.stdout.write(natsConfigText(users, config));
    return EXIT.done;
  }
  const file = resolve(options.out);
  const result = await writeNatsConfig(users, { ...config, file });
  const said = { unchanged: 'is as it was', written: 'written', reloaded: 'written, and the server told' };
  note(`${file} ${said[result]}; ${agents.length} agents, ${users.operators.length} operators`);
  return EXIT.done;
}

async function serverOptions(options: NatsConfigCommandOptions, mesh: string): Promise<NatsConfigOptions> {
  const { listen, maxStore, pidFile, tlsCert, tlsKey, tlsCa } = options;
  if (!LISTEN.test(listen))
    throw new UsageError('--listen: expected an address with a port, like 0.0.0.0:4222');
  const [, count = '', unit = ''] = SIZE.exec(maxStore) ?? [];
  if (unit === '' || Number(count) === 0)
    throw new UsageError('--max-store: expected a size, like 512MB or 4GB');
  if ((tlsCert === undefined) !== (tlsKey === undefined) || (tlsCa !== undefined && tlsCert === undefined)) {
    throw new UsageError('TLS takes --tls-cert and --tls-key, and --tls-ca with both or not at all');
  }
  const tls =
    tlsCert === undefined || tlsKey === undefined
      ? undefined
      : {
          cert: await readable('--tls-cert', tlsCert),
          key: await readable('--tls-key', tlsKey),
          ca: tlsCa === undefined ? undefined : await readable('--tls-ca', tlsCa),
        };
  return {
    mesh,
    listen,
    storeDir: resolve(options.storeDir),
    storeBytesMax: Number(count) * UNIT[unit as keyof typeof UNIT],
    pidFile: pidFile === undefined ? undefined : resolve(pidFile),
    tls,
  };
}

/** With a file that is not there the server would not start, or would go on with its old configuration. */
async function readable(option: string, file: string): Promise<string> {
  const path = resolve(file);
  await access(path, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${option}: cannot read ${path} (${error.code})`);
  });
  return path;
}

/** Whom to let in: agents whose identity has expired too, because they come to renew it; operators while they are ones. */
async function enrolled(options: ContextOptions): Promise<Pick<NatsUsers, 'agents' | 'operators'>> {
  const [identities, operators] = await withApi(options, async (api) => [
    await allItems(api, 'identities', {}),
    await allItems(api, 'operators', {}),
  ]);
  return {
    agents: identities
      .filter(({ state, key }) => (state === 'valid' || state === 'expired') && key !== '')
      .map(({ agent, key, workloads }) => ({ agent, key, workloads })),
    operators: operators
      .filter(({ state }) => state === 'valid')
      .map(({ name, role, key }) => ({ name, role, key })),
  };
}
