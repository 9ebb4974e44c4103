/** The configuration of a nats-server on which every user may do what its role needs and no more. */
import { WeftError } from '../protocol/errors.ts';
import { crossings, type Permissions } from './permissions.ts';
import { accountUsers, type NatsUser, type NatsUsers } from './users.ts';

export interface NatsConfigOptions {
  readonly mesh: string;
  /** `0.0.0.0:4222`; absent: the command line of the server says it. */
  readonly listen?: string | undefined;
  /** JetStream's files. Like all paths here, absolute: the server would take others from where it was started. */
  readonly storeDir: string;
  readonly storeBytesMax: number;
  /** The server writes its process id there. */
  readonly pidFile?: string | undefined;
  /** PEM files. `ca`: of who has signed the certificates of the servers, for a cluster. */
  readonly tls?:
    | { readonly cert: string; readonly key: string; readonly ca?: string | undefined }
    | undefined;
}

/** For what a server holds only while it runs: the mesh keeps nothing there, but watches need some. */
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** How long the server waits for a client to prove its key. */
const AUTHORIZATION_SECONDS = 10;

/** The account of the controllers; JetStream keeps its streams in a folder of this name. */
export function controllerAccount(mesh: string): string {
  return `weft-${mesh}-controllers`;
}

/** It has no secrets: public keys only. @throws WeftError `internal` if users are malformed (`accountUsers`), or a path is */
export function natsConfigText(users: NatsUsers, options: NatsConfigOptions): string {
  const { mesh, listen, storeDir, storeBytesMax, pidFile, tls } = options;
  const accounts = accountUsers(mesh, users);
  const { requests, fromControllers, fromAgents } = crossings(mesh);
  // Names that a mesh's own server can share with those of others.
  const meshAccount = `weft-${mesh}`;
  const controllersAccount = controllerAccount(mesh);
  const systemAccount = `weft-${mesh}-system`;

  const streams = (subjects: readonly string[], to: string) =>
    subjects.map((subject) => `{ stream: ${quoted(subject)}, accounts: [${quoted(to)}] }`);
  const heard = (subjects: readonly string[], account: string) =>
    subjects.map((subject) => `{ stream: { account: ${quoted(account)}, subject: ${quoted(subject)} } }`);
  const answered = requests.map(
    ({ subject, many }) =>
      `{ service: ${quoted(subject)}, accounts: [${quoted(meshAccount)}]${many === true ? ', response_type: stream' : ''} }`,
  );
  const asked = requests.map(
    ({ subject }) => `{ service: { account: ${quoted(controllersAccount)}, subject: ${quoted(subject)} } }`,
  );

  return [
    `# NATS for the Weft mesh ${mesh}: who may connect, and what each may publish and hear.`,
    '# Written by weft, which writes over what is changed here. A file with other settings can `include` this one.',
    ...(listen === undefined ? [] : [`listen: ${quoted(listen)}`]),
    ...(pidFile === undefined ? [] : [`pid_file: ${quoted(pidFile)}`]),
    `jetstream: { store_dir: ${quoted(storeDir)}, max_memory_store: ${MEMORY_BYTES_MAX}, max_file_store: ${storeBytesMax} }`,
    ...(tls === undefined ? [] : [tlsLine(tls)]),
    // The server's own 2 s are short for thousands of agents that come back at once.
    `authorization: { timeout: ${AUTHORIZATION_SECONDS} }`,
    `system_account: ${quoted(systemAccount)}`,
    'accounts: {',
    `  ${quoted(systemAccount)}: { users: [{ nkey: ${users.system} }] }`,
    '  # Controllers and JetStream.',
    ...account(controllersAccount, {
      lines: ['jetstream: enabled'],
      exports: [...answered, ...streams(fromControllers, meshAccount)],
      imports: heard(fromAgents, meshAccount),
      users: accounts.controllers,
    }),
    '  # Agents and operators.',
    ...account(meshAccount, {
      lines: [],
      exports: streams(fromAgents, controllersAccount),
      imports: [...asked, ...heard(fromControllers, controllersAccount)],
      users: accounts.mesh,
    }),
    '}',
    '',
  ].join('\n');
}

function account(
  name: string,
  parts: {
    readonly lines: readonly string[];
    readonly exports: readonly string[];
    readonly imports: readonly string[];
    readonly users: readonly NatsUser[];
  },
): string[] {
  const list = (what: string, items: readonly string[]) => [
    `    ${what}: [`,
    ...items.map((item) => `      ${item}`),
    '    ]',
  ];
  return [
    `  ${quoted(name)}: {`,
    ...parts.lines.map((line) => `    ${line}`),
    ...list('exports', parts.exports),
    ...list('imports', parts.imports),
    ...list('users', parts.users.flatMap(userLines)),
    '  }',
  ];
}

function userLines({ key, names, permissions }: NatsUser): string[] {
  return [`# ${names.join('; ')}`, `{ nkey: ${key}, permissions: ${permissionsText(permissions)} }`];
}

function permissionsText({ publish, subscribe }: Permissions): string {
  // They are made of labels, and need no escapes.
  const allow = (subjects: readonly string[]) => `{ allow: ["${subjects.join('", "')}"] }`;
  return `{ publish: ${allow(publish)}, subscribe: ${allow(subscribe)} }`;
}

function tlsLine({ cert, key, ca }: NonNullable<NatsConfigOptions['tls']>): string {
  const authority = ca === undefined ? '' : `, ca_file: ${quoted(ca)}`;
  return `tls: { cert_file: ${quoted(cert)}, key_file: ${quoted(key)}${authority} }`;
}

/** A string of the server's configuration, which knows JSON's escapes of quotes and backslashes, but not of all control characters. */
function quoted(text: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new WeftError('internal', `NATS configuration: control characters in ${JSON.stringify(text)}`);
  }
  return JSON.stringify(text);
}
