import { randomBytes } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/nats-core';
import { pino } from 'pino';
import { type HttpApi, listenHttpApi } from '../controller/api/http-api.ts';
import { connectController } from '../controller/connect.ts';
import { type Controller, startController } from '../controller/controller.ts';
import { ForeignRootError } from '../controller/root-check.ts';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { checkCredsFile } from './creds-file.ts';
import { EXIT, UsageError } from './exit.ts';
import { labelOf } from './label.ts';
import { findDefaultAction, findRootFile } from './mesh-folder.ts';
import { findNatsKey } from './nats-keys.ts';
import { readNatsServers } from './nats-servers.ts';
import { keepOwnNats } from './own-nats-users.ts';
import { release } from './release.ts';
import { untilDone } from './retry.ts';
import { areOtherRoots, readRootFiles } from './root-files.ts';

export interface ControllerCommandOptions {
  readonly nats: string;
  readonly mesh: string;
  readonly creds?: string;
  readonly root?: string;
  readonly admin: string;
  readonly defaultAction?: DefaultAction;
  /** It is the controller of `weft up`, whose nats-server it tells who may use it. */
  readonly ownNats?: boolean;
  readonly logLevel: string;
}

const ADMIN = /^(127(?:\.\d{1,3}){3}|\[::1\]|localhost):(\d{1,5})$/;
/** What is told to stop does not outlive this, whatever still hangs. */
const STOP_MS = 2_000;
/** How often it looks whether the files of the roots say something else. */
const LOOK_MS = 1_000;

/**
 * `weft controller`: runs a controller of the mesh until SIGTERM or SIGINT (exit 0), or until the parent that gave it a pipe
 * is gone (`WEFT_PARENT=stdin`; exit 1). NATS may be away at the start: it dials until it is there.
 * @throws UsageError; ForeignRootError if the mesh is that of another root; Error if the admin address is taken
 */
export async function controller(options: ControllerCommandOptions): Promise<number> {
  const mesh = labelOf('--mesh', options.mesh);
  const servers = readNatsServers(options.nats);
  const admin = readAdmin(options.admin);
  const rootFile = await findRootFile(options.root, process.cwd());
  await readRootFiles(rootFile);
  const defaultAction = options.defaultAction ?? (await findDefaultAction(rootFile)) ?? 'allow';
  if (options.creds !== undefined) await checkCredsFile(options.creds);
  const natsKey = await findNatsKey(dirname(resolve(rootFile)), 'controller');
  const id = randomBytes(8).toString('hex');
  const log = pino(
    { level: options.logLevel, base: { controller: id } },
    pino.destination({ dest: 2, sync: true }),
  );

  const ending = new AbortController();
  let code: number = EXIT.done;
  const orphaned = () => {
    if (ending.signal.aborted) return;
    code = EXIT.refused;
    ending.abort();
  };
  process.on('SIGTERM', () => ending.abort()).on('SIGINT', () => ending.abort());
  if (process.env.WEFT_PARENT === 'stdin')
    process.stdin.resume().once('end', orphaned).once('error', orphaned);

  const permissions =
    options.ownNats === true ? await keepOwnNats(dirname(resolve(rootFile)), mesh, log) : undefined;
  let running: Controller | undefined;
  let http: HttpApi | undefined;
  let connection: NatsConnection | undefined;
  let heartbeats: NatsConnection | undefined;
  try {
    const dial = () => connectController({ servers, creds: options.creds, natsSeed: natsKey?.seed });
    const undialled = (reason: string) =>
      log.warn({ servers, reason }, 'NATS cannot be reached; trying again');
    connection = await untilDone(dial, ending.signal, undialled);
    heartbeats = await untilDone(dial, ending.signal, undialled);
    if (connection !== undefined && heartbeats !== undefined) {
      const started = { connection, heartbeats, mesh, id, log, defaultAction };
      const told = permissions === undefined ? {} : { usersChanged: permissions.tell };
      // A connection that has ended for good comes back only with a new process.
      void Promise.race([connection.closed(), heartbeats.closed()]).then(orphaned);
      while (!ending.signal.aborted) {
        const again = Promise.withResolvers<void>();
        const files = await readRootFiles(rootFile);
        const { present: root, other } = files;
        const roots = { root, ...(other === undefined ? {} : { otherRoot: other }) };
        const look = async () => {
          if (await areOtherRoots(rootFile, files)) again.resolve();
        };
        // A controller that stands by is called by nobody when another root takes the place of the present one.
        const looking = setInterval(look, LOOK_MS).unref();
        void again.promise.then(() => clearInterval(looking));
        const start = () =>
          startController({ release: release(), ...started, ...roots, ...told, reload: look });
        // JetStream of a server, or of a cluster, that has just started takes a moment.
        running = await untilDone(start, ending.signal, (reason, error) => {
          if (error instanceof ForeignRootError) throw error;
          log.warn({ reason }, 'JetStream cannot be used yet (is it enabled?); trying again');
        });
        if (running === undefined) break;
        http?.serve(running);
        const served = { ...admin, mesh, release: release(), controller: running };
        http ??= await listenHttpApi(served).catch((error: NodeJS.ErrnoException) => {
          throw new Error(adminFault(options.admin, error));
        });
        log.info({ mesh, admin: options.admin, defaultAction }, 'serving');
        await Promise.race([aborted(ending.signal), again.promise]);
        if (ending.signal.aborted) break;
        log.info('reading the roots anew');
        await running.stop();
      }
    }
  } finally {
    const stop = async () => {
      await http?.close();
      await running?.stop();
      await permissions?.stop();
      await connection?.close();
      await heartbeats?.close();
    };
    await Promise.race([stop().catch(() => {}), wait(STOP_MS)]);
  }
  return code;
}

function readAdmin(text: string): { readonly host: string; readonly port: number } {
  const [, host, digits] = ADMIN.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    const found = JSON.stringify(text);
    throw new UsageError(
      `--admin: found ${found}, expected a loopback address with a port, like 127.0.0.1:15999`,
    );
  }
  return { host: host === '[::1]' ? '::1' : host, port };
}

function adminFault(address: string, { code = 'it failed' }: NodeJS.ErrnoException): string {
  const next = 'name another address with --admin, like 127.0.0.1:0 for any free port';
  return code === 'EADDRINUSE'
    ? `the admin address ${address} is taken, by another controller perhaps: ${next}`
    : `cannot listen on the admin address ${address} (${code}): ${next}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
