/** How the process of an agent comes by its identity: from its data folder, or with a join token. */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { type ConnectionOptions, credsAuthenticator } from '@nats-io/nats-core';
import type { Logger } from 'pino';
import type { AgentConfig } from '../agent/config.ts';
import { connectBus } from '../agent/link/bus.ts';
import { RefusedByController } from '../agent/trust/controller-call.ts';
import { enrol } from '../agent/trust/enrol.ts';
import { createIdentityFolder, type IdentityFolder } from '../agent/trust/identity-folder.ts';
import { createMembership, type Membership } from '../agent/trust/membership.ts';
import { tokenAdvice } from '../agent/trust/token-advice.ts';
import { type JoinToken, readJoinToken } from '../protocol/enrolment.ts';
import { natsUser } from '../protocol/nats-user.ts';
import { publicNkeyOf } from '../protocol/nkey.ts';
import { userInbox } from '../protocol/subjects.ts';

const VARIABLE = 'WEFT_JOIN_TOKEN';

/** Takes the token out of the environment, so that no child and no report of the process shows it. */
export function takeTokenVariable(env: NodeJS.ProcessEnv): string | undefined {
  const text = env[VARIABLE];
  delete env[VARIABLE];
  return text === '' ? undefined : text;
}

/** The token that `--join` gives: itself, `@FILE`, or `-` for stdin. @throws Error if it cannot be read */
export function givenToken(join: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (join === '-' && env.WEFT_PARENT === 'stdin') {
    throw new Error(
      '--join -: with WEFT_PARENT=stdin there is no token to come from stdin; use WEFT_JOIN_TOKEN',
    );
  }
  if (join === '-') return readFileSync(0, 'utf8');
  return join?.startsWith('@') === true ? readFileSync(join.slice(1), 'utf8') : join;
}

export interface AgentIdentityOptions {
  readonly config: AgentConfig & { readonly data: string };
  readonly joinToken: string | undefined;
  readonly log: Logger;
}

/**
 * Resolves when the agent has an identity; with a token it tries until somebody answers.
 * @throws Error that says why it has none: no token, or one that is refused; damaged files
 */
export async function agentIdentity(options: AgentIdentityOptions): Promise<Membership> {
  const { config, joinToken, log } = options;
  const folder = createIdentityFolder(config.data);
  const kept = await keptMembership(folder, options);
  const unfit = kept === undefined ? 'there is none' : unfitness(kept, config);
  if (unfit === undefined) {
    if (joinToken !== undefined && !isOfKnownRoot(joinToken, kept as Membership)) {
      log.warn(
        { folder: folder.path },
        'the join token is of another root than the identity of this host, and left unused; if the root was replaced while this host was away, remove the folder and start it again',
      );
    } else if (joinToken !== undefined) {
      log.info('this host has its identity already; the join token is left unused');
    }
    return kept as Membership;
  }
  if (joinToken === undefined) {
    // One that has ended may be renewed, and one that leaves workloads out serves the others.
    if (kept !== undefined && isOf(kept, config)) {
      log.error({ reason: unfit, advice: tokenAdvice(config) }, 'the identity of this host does not fit');
      return kept;
    }
    throw new Error(`no identity of ${config.host} in ${folder.path} (${unfit}): ${tokenAdvice(config)}`);
  }
  const token = readJoinToken(joinToken);
  if (kept === undefined || !isOf(kept, config)) return enrolled(folder, token, options, wait);
  const { agent, identity, isCut } = kept.keyring;
  if (isCut(agent, identity.issuedAtMs)) return enrolled(folder, token, options, wait);
  // What it has is good for something, and one that has expired may be renewed: nobody is waited for.
  try {
    return await enrolled(folder, token, options, () => Promise.reject(new NobodyAnswers()));
  } catch (error) {
    if (!(error instanceof RefusedByController || error instanceof NobodyAnswers)) throw error;
    log.error({ reason: unfit, token: error.message, advice: tokenAdvice(config) }, 'not enrolled anew');
    return kept;
  }
}

class NobodyAnswers extends Error {
  constructor() {
    super('nobody could answer now');
    this.name = 'NobodyAnswers';
  }
}

async function keptMembership(
  folder: IdentityFolder,
  { log }: AgentIdentityOptions,
): Promise<Membership | undefined> {
  const kept = await folder.load();
  if (kept === undefined) return undefined;
  try {
    return membershipOf(folder, kept, log);
  } catch (error) {
    const what = `what ${folder.path} holds does not belong together (${(error as Error).message})`;
    throw new Error(
      `${what}. Put a copy back, or remove the folder and start the agent with a new token of \`weft token create\``,
      { cause: error },
    );
  }
}

function membershipOf(
  folder: IdentityFolder,
  kept: NonNullable<Awaited<ReturnType<IdentityFolder['load']>>>,
  log: Logger,
): Membership {
  const notKept = (error: unknown) =>
    log.error(
      { err: error, folder: folder.path },
      'the identity cannot be kept; a restart would lose what is new of it',
    );
  return createMembership({ folder, ...kept, wallMs: Date.now, notKept });
}

/** Of a token that cannot be read nothing is said: it is not needed. */
function isOfKnownRoot(joinToken: string, { keyring }: Membership): boolean {
  try {
    return keyring.roots.includes(readJoinToken(joinToken).root);
  } catch {
    return true;
  }
}

function isOf({ keyring }: Membership, { mesh, host }: AgentConfig): boolean {
  return keyring.mesh === mesh && keyring.agent === host;
}

/** Why what is kept is not what the configuration asks for; undefined if it is. */
function unfitness(kept: Membership, config: AgentConfig): string | undefined {
  const { keyring } = kept;
  if (!isOf(kept, config)) {
    return `it is of ${keyring.agent} in the mesh ${keyring.mesh}, and the configuration says ${config.host} in ${config.mesh}`;
  }
  if (keyring.fault !== undefined) return keyring.fault;
  const missing = config.workloads.filter(({ service }) => !keyring.identity.workloads.has(service));
  if (missing.length === 0) return undefined;
  return `it does not name ${missing.map(({ service }) => service).join(', ')}`;
}

async function enrolled(
  folder: IdentityFolder,
  token: JoinToken,
  { config, log }: AgentIdentityOptions,
  pause: (ms: number) => Promise<unknown>,
): Promise<Membership> {
  const { mesh, host } = config;
  log.info('enrolling this host with its join token');
  const granted = await enrol({
    token,
    mesh,
    host,
    folder,
    dial: () => connectBus(natsOptions(token, config), { lost() {}, back() {} }),
    wallMs: Date.now,
    random: Math.random,
    wait: pause,
    delayed: (reason, retryMs) => log.warn({ reason, retryMs }, 'not enrolled yet; it is tried again'),
    skewed: (text) => log.warn(text),
  });
  const membership = membershipOf(folder, granted, log);
  const expires = new Date(membership.keyring.identity.expiresAtMs).toISOString();
  log.info({ expires, workloads: [...membership.keyring.identity.workloads] }, 'enrolled');
  return membership;
}

/** Where the token says that NATS is, as the user of the token if it names one; and where the configuration says. */
function natsOptions(token: JoinToken, { mesh, host, nats }: AgentConfig): ConnectionOptions {
  const { natsSeed } = token;
  const user = natsSeed === undefined ? undefined : publicNkeyOf('user', natsSeed);
  const { creds } = nats;
  return {
    servers: [...new Set([...nats.servers, ...token.nats])],
    noRandomize: true,
    name: `weft ${mesh} ${host} joins`,
    ...(user === undefined || natsSeed === undefined ? {} : natsUser(() => natsSeed, userInbox(user))),
    ...(user !== undefined || creds === undefined
      ? {}
      : { authenticator: credsAuthenticator(() => readFileSync(creds)) }),
  };
}
