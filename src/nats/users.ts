/** Who may connect to the NATS of a mesh. What it is made of may come from the bus: it is checked before anything is written. */
import { WeftError } from '../protocol/errors.ts';
import { isLabel, isServiceName } from '../protocol/names.ts';
import { isPublicNkey } from '../protocol/nkey.ts';
import { isRole, type Role } from '../protocol/operator.ts';
import {
  agentPermissions,
  controllerPermissions,
  joinPermissions,
  operatorPermissions,
  type Permissions,
} from './permissions.ts';

/** All keys are public NKeys (`U…`). */
export interface NatsUsers {
  /**
   * Those that are enrolled. While an agent's keys are being replaced it is here twice, with either key: the old one has to
   * stay until the agent has dialled with the new one.
   */
  readonly agents: readonly {
    readonly agent: string;
    readonly key: string;
    readonly workloads: readonly string[];
  }[];
  readonly operators: readonly { readonly name: string; readonly role: Role; readonly key: string }[];
  /** Controllers can share a key. */
  readonly controllers: readonly string[];
  /** Whoever is not an agent yet and has a join token, which carries the seed. */
  readonly join: string;
  /** Of the system account: looks at the servers (`nats server report`), and sees nothing of the mesh. */
  readonly system: string;
}

export interface NatsUser {
  readonly key: string;
  /** Who it is, for people. */
  readonly names: readonly string[];
  readonly permissions: Permissions;
}

/** Users by account, each key once, sorted: the same users are always written the same way. */
export interface AccountUsers {
  readonly mesh: readonly NatsUser[];
  readonly controllers: readonly NatsUser[];
}

/**
 * A key that two agents have, or an agent and an operator, may do what both may: who proves it is both.
 * @throws WeftError `internal` that names what is malformed, or a key that stands on both sides of the wall
 */
export function accountUsers(mesh: string, users: NatsUsers): AccountUsers {
  if (!isLabel(mesh)) throw fault(`mesh ${shown(mesh)}: expected a DNS label`);
  for (const key of [users.join, users.system]) checkKey('join and system user', key);
  const inMesh: NatsUser[] = [];
  const permissionsOf = agentPermissions(mesh);
  for (const { agent, key, workloads } of users.agents) {
    if (!isText(agent, isLabel)) throw fault(`agent ${shown(agent)}: expected a DNS label`);
    checkKey(`agent ${agent}`, key);
    const odd = workloads.find((service) => !isText(service, isServiceName));
    if (odd !== undefined) throw fault(`agent ${agent}: workload ${shown(odd)} is no service`);
    inMesh.push({ key, names: [`agent ${agent}`], permissions: permissionsOf(agent, workloads.toSorted()) });
  }
  for (const { name, role, key } of users.operators) {
    if (!isText(name, isLabel) || !isRole(role))
      throw fault(`operator ${shown(name)}: expected a DNS label and a role`);
    checkKey(`operator ${name}`, key);
    const permissions = operatorPermissions(mesh, role, key);
    inMesh.push({ key, names: [`operator ${name}, ${role}`], permissions });
  }
  inMesh.push({
    key: users.join,
    names: ['hosts that join'],
    permissions: joinPermissions(mesh, users.join),
  });
  const controllers = [...new Set(users.controllers)].map((key) => {
    checkKey('controller', key);
    return { key, names: ['controller'], permissions: controllerPermissions(mesh, key) };
  });
  const apart = new Set([...users.controllers, users.system]);
  const both = inMesh.find(({ key }) => apart.has(key));
  if (both !== undefined) throw fault(`${both.names[0]} has the key of a controller or of the system user`);
  if (users.controllers.includes(users.system)) throw fault('a controller has the key of the system user');
  return { mesh: byKey(inMesh), controllers: byKey(controllers) };
}

function byKey(users: readonly NatsUser[]): NatsUser[] {
  const known = new Map<string, NatsUser>();
  const sorted = users.toSorted((a, b) => compare(a.names[0]!, b.names[0]!) || compare(a.key, b.key));
  for (const user of sorted) {
    const other = known.get(user.key);
    known.set(user.key, other === undefined ? user : joined(other, user));
  }
  return [...known.values()];
}

function joined(one: NatsUser, other: NatsUser): NatsUser {
  const union = (what: keyof Permissions) => [
    ...new Set([...one.permissions[what], ...other.permissions[what]]),
  ];
  return {
    key: one.key,
    names: [...one.names, ...other.names],
    permissions: { publish: union('publish'), subscribe: union('subscribe') },
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function isText(value: unknown, sound: (text: string) => boolean): boolean {
  return typeof value === 'string' && sound(value);
}

function checkKey(whose: string, key: unknown): void {
  if (!isPublicNkey('user', key)) throw fault(`${whose}: expected a public user NKey (U…)`);
}

function shown(text: unknown): string {
  return JSON.stringify(text)?.slice(0, 80) ?? 'nothing';
}

function fault(what: string): WeftError {
  return new WeftError('internal', `NATS users: ${what}; nothing was written`);
}
