import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { DefaultAction } from '../protocol/authorization/authorization.ts';
import { startWeftChild, type WeftChild } from './weft-child.ts';

export interface ControllerProcessOptions {
  readonly mesh: string;
  readonly servers: readonly string[];
  readonly creds?: string | undefined;
  readonly rootFile: string;
  /** `127.0.0.1:15999` */
  readonly admin: string;
  /** If the context file is not to say it. */
  readonly defaultAction?: DefaultAction | undefined;
  /** Whether it keeps the permissions of our own nats-server. */
  readonly ownNats: boolean;
  readonly logLevel: string;
  /** Every line of its log. */
  readonly onLine: (line: string) => void;
}

const HOST = '127.0.0.1';
const PORT = 15_999;

/** Starts a controller as a child, which ends with this process. */
export function startControllerProcess(options: ControllerProcessOptions): WeftChild {
  const { mesh, servers, creds, rootFile, admin, defaultAction, logLevel } = options;
  const args = ['controller', '--mesh', mesh, '--nats', servers.join(','), '--root', rootFile];
  args.push('--admin', admin, '--log-level', logLevel, ...(creds === undefined ? [] : ['--creds', creds]));
  if (options.ownNats) args.push('--own-nats');
  if (defaultAction !== undefined) args.push('--default-action', defaultAction);
  return startWeftChild(args, options.onLine);
}

/** The usual admin address of a controller, or a free one if another mesh of this machine has that. @param ports to try, in turn */
export async function controllerAdmin(ports: readonly number[] = [PORT, 0]): Promise<string> {
  for (const port of ports) {
    const server = createServer().listen(port, HOST);
    const taken = await once(server, 'listening').then(
      () => false,
      () => true,
    );
    if (taken) continue;
    const address = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return `${HOST}:${address.port}`;
  }
  throw new Error(`${HOST} has no free port for the controller`);
}
