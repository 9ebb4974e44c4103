/** A nats-server on which everybody may do what the role needs and no more, and connections of every role. */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type NatsConnection, nkeyAuthenticator, PermissionViolationError } from '@nats-io/nats-core';
import { createUser } from '@nats-io/nkeys';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import { findNatsServer } from '../../src/cli/nats-binary.ts';
import { type NatsServerProcess, startNatsServer } from '../../src/cli/nats-server.ts';
import { type NatsConfigFileOptions, writeNatsConfig } from '../../src/nats/config-file.ts';
import type { NatsUsers } from '../../src/nats/users.ts';
import { agentInbox, userInbox } from '../../src/protocol/subjects.ts';
import { tempFolder } from '../kit/temp-folder.ts';

export const MESH = 'test';
export const AGENTS = {
  'web-1': ['checkout.default'],
  'app-1': ['orders.default', 'users.shop'],
} as const;
export type AgentName = keyof typeof AGENTS;
const OTHERS = ['controller', 'viewer', 'editor', 'admin', 'join', 'system'] as const;
export type UserName = AgentName | (typeof OTHERS)[number];

export interface Key {
  readonly seed: string;
  readonly publicKey: string;
}

export interface WalledNats {
  readonly url: string;
  readonly options: NatsConfigFileOptions;
  readonly users: NatsUsers;
  readonly keys: Readonly<Record<UserName, Key>>;
  /** What the server has refused, in its own words. */
  readonly violations: readonly string[];
  /** A connection that ends with the test. */
  dial(name: UserName): Promise<NatsConnection>;
  dialWith(key: Key, inboxPrefix: string): Promise<NatsConnection>;
}

export async function startWalledNats(t: ExecutionContext): Promise<WalledNats> {
  const folder = await tempFolder(t);
  const names = [...(Object.keys(AGENTS) as AgentName[]), ...OTHERS];
  const keys = Object.fromEntries(names.map((name) => [name, createKey()])) as Record<UserName, Key>;
  const users: NatsUsers = {
    agents: Object.entries(AGENTS).map(([agent, workloads]) => ({
      agent,
      key: keys[agent as AgentName].publicKey,
      workloads,
    })),
    operators: (['viewer', 'editor', 'admin'] as const).map((role) => ({
      name: `the-${role}`,
      role,
      key: keys[role].publicKey,
    })),
    controllers: [keys.controller.publicKey],
    join: keys.join.publicKey,
    system: keys.system.publicKey,
  };
  const options: NatsConfigFileOptions = {
    mesh: MESH,
    file: join(folder, 'nats.conf'),
    pidFile: join(folder, 'nats.pid'),
    storeDir: join(folder, 'store'),
    storeBytesMax: 256 * 1024 * 1024,
  };
  await writeNatsConfig(users, options);
  const violations: string[] = [];
  const server = await startConfigured(t, options.file, (line) => {
    if (line.includes('Violation')) violations.push(line);
  });
  const dialWith = async ({ seed }: Key, inboxPrefix: string) => {
    const authenticator = nkeyAuthenticator(Buffer.from(seed));
    const connection = await connect({ servers: server.url, authenticator, inboxPrefix, reconnect: false });
    t.teardown(() => connection.close());
    return connection;
  };
  const inboxOf = (name: UserName) =>
    name in AGENTS ? agentInbox(MESH, name) : userInbox(keys[name].publicKey);
  const dial = (name: UserName) => dialWith(keys[name], inboxOf(name));
  return { url: server.url, options, users, keys, violations, dial, dialWith };
}

/** A server with a configuration file; it ends with the test. */
export async function startConfigured(
  t: ExecutionContext,
  configFile: string,
  onLine: (line: string) => void = () => {},
): Promise<NatsServerProcess> {
  const binary = await findNatsServer(process.env.PATH ?? '');
  const server = await startNatsServer({ binary, port: 0, configFile, onLine });
  t.teardown(server.stop);
  return server;
}

export function createKey(): Key {
  const user = createUser();
  return { seed: Buffer.from(user.getSeed()).toString('latin1'), publicKey: user.getPublicKey() };
}

/** What the server refuses this connection, like `publish weft.test.api.apply`; nothing is missed after a flush. */
export function refusalsOf(connection: NatsConnection): string[] {
  const refused: string[] = [];
  const follow = async () => {
    for await (const status of connection.status()) {
      if (status.type !== 'error' || !(status.error instanceof PermissionViolationError)) continue;
      const { operation, subject, queue } = status.error;
      refused.push([operation, subject, queue].filter((part) => part !== undefined && part !== '').join(' '));
    }
  };
  void follow();
  return refused;
}

/** Whether the server takes a message to the subject from this connection. */
export async function mayPublish(connection: NatsConnection, subject: string): Promise<boolean> {
  const refused = refusalsOf(connection);
  connection.publish(subject);
  await connection.flush();
  await setImmediate();
  return !refused.some((one) => one === `publish ${subject}`);
}

/** Whether the server lets this connection listen there. */
export async function mayHear(connection: NatsConnection, subject: string, queue?: string): Promise<boolean> {
  let may = true;
  const subscription = connection.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: (error) => {
      if (error !== null) may = false;
    },
  });
  await connection.flush();
  await setImmediate();
  subscription.unsubscribe();
  return may;
}
