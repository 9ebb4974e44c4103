import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createIdentityFolder } from '../agent/trust/identity-folder.ts';
import type { NatsUsers } from '../nats/users.ts';
import { startAgentProcess, writeAgentFile } from './agent-process.ts';
import {
  type ControllerProcessOptions,
  controllerAdmin,
  startControllerProcess,
} from './controller-process.ts';
import { EXIT } from './exit.ts';
import { hasIdentity, invite } from './invitations.ts';
import { takeLock } from './lock-file.ts';
import type { Manifests } from './manifests.ts';
import { type MeshConfig, readMeshConfig } from './mesh-config.ts';
import { ensureMesh, type MeshFolder, meshFolder } from './mesh-folder.ts';
import { applyPolicies, readPolicies } from './mesh-policies.ts';
import { withOwnMesh } from './own-mesh.ts';
import { type OwnNats, prepareOwnNats, startOwnNats } from './own-nats.ts';
import { readConfigFile } from './read-config.ts';
import { untilReady } from './ready.ts';
import { readRootFiles } from './root-files.ts';
import { type Supervised, supervise } from './supervise.ts';

export interface UpOptions {
  readonly file: string;
  readonly logLevel: string;
}

/** Beyond its drain time an agent gets this long to close. */
const CLOSE_MS = 5_000;
const NATS_STOP_MS = 2_000;

const say = (text: string) => void process.stderr.write(`weft: ${text}\n`);

/**
 * `weft up`: a whole mesh on this machine, until SIGTERM or SIGINT. Then agents drain, the nats-server ends,
 * and nothing is left; a second signal ends all at once. If this process is killed, agents and controller end by their
 * stdin and the nats-server by its guard.
 */
export async function up(options: UpOptions): Promise<number> {
  const config = readMeshConfig(await readConfigFile(options.file), options.file);
  const policies = await readPolicies(config.policies);
  const folder = meshFolder(join(dirname(resolve(options.file)), '.weft'));
  await mkdir(folder.path, { recursive: true, mode: 0o700 });
  const lock = await takeLock(join(folder.path, 'up.lock'));
  try {
    return await runMesh(config, policies, folder, options.logLevel);
  } finally {
    await lock.release();
  }
}

async function runMesh(
  config: MeshConfig,
  policies: Manifests | undefined,
  folder: MeshFolder,
  logLevel: string,
): Promise<number> {
  const agents: Supervised[] = [];
  const controllers: Supervised[] = [];
  const ending = new AbortController();
  let code: number = EXIT.done;
  const onSignal = () => {
    if (ending.signal.aborted) {
      for (const child of [...agents, ...controllers]) child.kill();
      code = EXIT.refused;
      return;
    }
    say('draining; once more to stop at once');
    ending.abort();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  const ended = new Promise<void>((done) => ending.signal.addEventListener('abort', () => done()));

  let bus: OwnNats | undefined;
  try {
    const wall = 'port' in config.nats ? await ownWall(config, folder) : undefined;
    if ('port' in config.nats) bus = await startOwnNats(config.nats.port, folder.path, say, wall!.config);
    const nats = 'port' in config.nats ? { servers: [bus!.url] } : config.nats;
    await ensureMesh(folder, config.mesh, nats.servers);
    const roots = await readRootFiles(folder.rootFile);
    const files = await Promise.all(
      config.agents.map((agent) =>
        writeAgentFile(folder, {
          mesh: config.mesh,
          host: agent.host,
          nats,
          data: dataOf(folder, agent.host),
          ...agent.file,
        }),
      ),
    );
    const { rootFile } = folder;
    const mesh = { mesh: config.mesh, rootFile, ...nats, natsSeed: wall?.operatorSeed };
    const leading = async (admin: string) => {
      const { defaultAction } = config;
      const { child, pid } = superviseController({
        ...mesh,
        admin,
        defaultAction,
        logLevel,
        ownNats: wall !== undefined,
      });
      controllers.push(child);
      await Promise.race([untilReady(admin, pid, ending.signal), child.failed]);
      child.established();
    };
    // Another mesh that starts at the same time may be faster at the usual address.
    const controlled = leading(await controllerAdmin()).catch(async (error: unknown) => {
      if (ending.signal.aborted) throw error;
      controllers.pop();
      return leading(await controllerAdmin([0]));
    });
    const starting = config.agents.map(async (entry, index) => {
      const { host } = entry;
      const enrolled = await hasIdentity(entry, dataOf(folder, host), config.mesh, roots);
      // Who has an identity needs no controller to start.
      if (!enrolled) await Promise.race([controlled, ended]);
      if (ending.signal.aborted) return;
      const joinToken = enrolled
        ? undefined
        : await withOwnMesh(mesh, (api, context) =>
            invite(entry, dataOf(folder, host), api, context, wall?.joinSeed),
          );
      const { agent, pid } = superviseAgent(host, files[index]!, joinToken, logLevel);
      agents.push(agent);
      await Promise.race([untilReady(entry.admin, pid, ending.signal), agent.failed]);
      agent.established();
    });
    await Promise.race([Promise.all([controlled, ...starting]), ended]);
    // Now that the agents are there, the services that policies name are known.
    if (policies !== undefined && !ending.signal.aborted) {
      const warnings = await applyPolicies(policies, mesh);
      for (const warning of warnings) say(warning);
    }
    if (!ending.signal.aborted) process.stdout.write('weft: ready\n');
    await ended;
  } finally {
    ending.abort();
    const graceMs = Math.max(...config.agents.map(({ drainMs }) => drainMs)) + CLOSE_MS;
    await Promise.all(agents.map((agent) => agent.stop(graceMs)));
    await Promise.all(controllers.map((one) => one.stop(CLOSE_MS)));
    await bus?.supervised.stop(NATS_STOP_MS);
  }
  return code;
}

/** Where an agent of this mesh keeps what outlives it. */
const dataOf = (folder: MeshFolder, host: string) => join(folder.path, 'data', host);

/** The permissions of our own nats-server, as far as it is known here who is enrolled. */
async function ownWall({ mesh, agents }: MeshConfig, folder: MeshFolder) {
  const known: NatsUsers['agents'][number][] = [];
  for (const { host, services } of agents) {
    const kept = await createIdentityFolder(dataOf(folder, host)).load();
    if (kept?.stored.mesh === mesh) known.push({ agent: host, key: kept.stored.key, workloads: services });
  }
  return prepareOwnNats(folder.path, mesh, known);
}

/** `pid`: of the process that is the controller now. */
function superviseController(options: Omit<ControllerProcessOptions, 'onLine'>) {
  const onLine = (line: string) => void process.stderr.write(`controller | ${line}\n`);
  let pid: number | undefined;
  const start = () => {
    const child = startControllerProcess({ ...options, onLine });
    pid = child.pid;
    return child;
  };
  return { child: supervise('controller', start(), async () => start(), say), pid: () => pid };
}

/** `pid`: of the process that is the agent now. */
function superviseAgent(host: string, configFile: string, joinToken: string | undefined, logLevel: string) {
  const onLine = (line: string) => void process.stderr.write(`${host} | ${line}\n`);
  let pid: number | undefined;
  const start = () => {
    const child = startAgentProcess({ configFile, joinToken, logLevel, onLine });
    pid = child.pid;
    return child;
  };
  const agent = supervise(`agent ${host}`, start(), async () => start(), say);
  return { agent, pid: () => pid };
}
