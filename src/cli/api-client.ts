/** Calls to the controller over NATS, as `weft` commands make them. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import {
  AuthorizationError,
  type ConnectionOptions,
  credsAuthenticator,
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { ApiVerbs, Verb } from '../protocol/api.ts';
import { CALL_BYTES_MAX, CHANGING_VERBS, signCall } from '../protocol/api-call.ts';
import { natsTls } from '../protocol/nats-tls.ts';
import { natsUser } from '../protocol/nats-user.ts';
import { publicNkeyOf } from '../protocol/nkey.ts';
import { apiSubject, userInbox } from '../protocol/subjects.ts';
import { checkSender } from './answer-check.ts';
import { createAnswerReader } from './api-answer.ts';
import { ApiRefusal } from './api-refusal.ts';
import { type ContextOptions, type MeshContext, resolveContext } from './context.ts';
import { UnreachableError, UsageError } from './exit.ts';
import { type CallTimes, type Try, tryCall } from './tried-call.ts';

const DIAL_MS = 5_000;
/** How long NATS may take to read its configuration anew. */
const READING_MS = 2_000;
const READING_POLL_MS = 100;
/** When a controller is lost, another one leads within `takenMs`, and one that hangs is known for that. */
const TIMES: CallTimes = {
  takenMs: 5_000,
  answeredMs: 10_000,
  copyMs: 4_000,
  nextCopyMs: 1_000,
  pollMs: 250,
};
const AUTHOR_MAX = 256;

export interface ApiClient {
  /**
   * @param takenMs for how long a controller is waited for if there is none
   * @throws ApiRefusal, UnreachableError if no controller answers, UsageError if the call is too large; WeftError `denied` if
   *   the answer is not the controller's
   */
  call<V extends Verb>(
    verb: V,
    request: ApiVerbs[V]['request'],
    takenMs?: number,
  ): Promise<ApiVerbs[V]['response']>;
  readonly connection: NatsConnection;
}

/** Resolves the context, connects, and closes again when `use` has ended. */
export async function withApi<T>(
  options: ContextOptions,
  use: (api: ApiClient, context: MeshContext) => Promise<T>,
): Promise<T> {
  const context = await resolveContext(options, { cwd: process.cwd(), env: process.env });
  const connection = await connectOperator(context);
  try {
    return await use(createApiClient(connection, context), context);
  } finally {
    await connection.close();
  }
}

/** What NATS wants to know of an operator. */
type NatsContext = Pick<MeshContext, 'servers' | 'creds' | 'natsSeed'>;

/** Credentials that are named go before the key of the mesh's folder. */
function credentials({ creds, natsSeed }: Omit<NatsContext, 'servers'>): Partial<ConnectionOptions> {
  if (creds !== undefined) return { authenticator: credsAuthenticator(() => readFileSync(creds)) };
  if (natsSeed === undefined) return {};
  return natsUser(() => natsSeed, userInbox(publicNkeyOf('user', natsSeed)!));
}

/** @throws UnreachableError that says why NATS takes no connection */
export async function connectOperator(context: NatsContext): Promise<NatsConnection> {
  const { servers, creds, natsSeed } = context;
  for (const untilMs = performance.now() + READING_MS; ; ) {
    try {
      return await connect({
        servers: [...servers],
        ...natsTls(servers),
        ...credentials({ creds, natsSeed }),
        name: 'weft',
        timeout: DIAL_MS,
        reconnect: false,
      });
    } catch (cause) {
      // A server that is just reading its configuration anew refuses those whom it knows.
      const again =
        cause instanceof AuthorizationError && natsSeed !== undefined && performance.now() < untilMs;
      if (!again) throw unreachable(servers, cause as Error);
      await wait(READING_POLL_MS);
    }
  }
}

function unreachable(servers: readonly string[], cause: Error): UnreachableError {
  const where = servers.join(', ');
  const { message } = cause;
  return cause instanceof AuthorizationError
    ? new UnreachableError(
        `NATS at ${where} refuses this client (${message})`,
        'name credentials that it takes with --operator or --creds; with permissions on, `weft nats config` lets new operators in',
        { cause },
      )
    : new UnreachableError(
        `cannot reach NATS at ${where} (${message})`,
        'does it run, and can this host reach it? --nats names another address',
        { cause },
      );
}

/** Which mesh is called, by whom, and by what its answers are known. */
type CallContext = Pick<MeshContext, 'mesh' | 'servers' | 'signer' | 'rootKey'>;

export function createApiClient(connection: NatsConnection, context: CallContext): ApiClient {
  const readAnswer = createAnswerReader();

  const payloadOf = async (verb: Verb, request: unknown): Promise<string> => {
    const { key, document } = await context.signer();
    const call = {
      verb,
      mesh: context.mesh,
      timeMs: Date.now(),
      nonce: randomBytes(16).toString('hex'),
      author: author(),
      request,
    };
    const payload = signCall(key, call, document);
    const bytesMax = Math.min(connection.info?.max_payload ?? CALL_BYTES_MAX, CALL_BYTES_MAX);
    if (payload.length > bytesMax) {
      throw new UsageError(
        `${verb}: ${payload.length} bytes, and a call has at most ${bytesMax} (1 MiB, or max_payload of NATS if that is less): ` +
          'send fewer resources at a time; what one call holds is done as a whole or not at all',
      );
    }
    return payload;
  };

  async function once<V extends Verb>(
    verb: V,
    payload: string,
    timeout: number,
  ): Promise<Try<ApiVerbs[V]['response']>> {
    try {
      const { mesh } = context;
      const rootKey = await context.rootKey();
      const message = await connection.request(apiSubject(mesh, verb), payload, { timeout });
      checkSender(rootKey, { mesh, verb, call: payload }, message);
      return { kind: 'answered', answer: readAnswer(verb, message.data) };
    } catch (error) {
      if (isNoResponders(error)) return { kind: 'nobody' };
      return causeOf(error) instanceof TimeoutError ? { kind: 'silence' } : { kind: 'failed', error };
    }
  }

  /** A controller that stands by answers what changes nothing. */
  const standsBy = async () => {
    const { kind } = await once('programmed', await payloadOf('programmed', { snapshots: [] }), TIMES.copyMs);
    return kind === 'answered';
  };

  return Object.freeze({
    connection,
    async call<V extends Verb>(verb: V, request: ApiVerbs[V]['request'], takenMs = TIMES.takenMs) {
      const made = () => payloadOf(verb, request);
      const sent = (payload: string, timeoutMs: number) => once(verb, payload, timeoutMs);
      const tried = () => tryCall<ApiVerbs[V]['response']>(made, sent, { ...TIMES, takenMs });
      let came = await tried();
      // Two commands of this user at once: the one that was begun first came second, and was not carried out.
      if (isConflict(came)) came = await tried();
      const stoodBy = came.kind === 'nobody' && CHANGING_VERBS.has(verb) && (await standsBy());
      // One that stands by leads in a moment, if it has just come up.
      if (stoodBy) came = await tried();
      switch (came.kind) {
        case 'answered':
          if (came.answer.ok) return came.answer.response;
          throw new ApiRefusal(came.answer.error);
        case 'nobody':
          throw stoodBy ? noLeader(context) : noController(context);
        case 'silence':
          throw silent(verb, context);
        case 'failed':
          throw unanswered(came.error, verb, context, connection.isClosed());
      }
    },
  });
}

function isConflict(came: Try<unknown>): boolean {
  return came.kind === 'answered' && !came.answer.ok && came.answer.error.code === 'conflict';
}

function isNoResponders(error: unknown): boolean {
  return error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
}

function causeOf(error: unknown): unknown {
  return error instanceof RequestError && error.cause !== undefined ? error.cause : error;
}

function silent(verb: Verb, { mesh }: CallContext): UnreachableError {
  const what = `the controller of the mesh ${mesh} did not answer within ${TIMES.answeredMs / 1000} s`;
  return new UnreachableError(what, nextAfter(verb));
}

function unanswered(error: unknown, verb: Verb, { servers }: CallContext, closed: boolean): unknown {
  const cause = causeOf(error);
  if (closed) {
    const what = `the connection to NATS at ${servers.join(', ')} broke`;
    return new UnreachableError(what, nextAfter(verb), { cause });
  }
  if (cause instanceof PermissionViolationError) {
    const what = `NATS does not let this user call the controller (${cause.message})`;
    return new UnreachableError(what, 'give credentials that may with --creds', { cause });
  }
  return error;
}

function nextAfter(verb: Verb): string {
  return CHANGING_VERBS.has(verb)
    ? 'whether the change was made is not known; `weft history` tells'
    : 'try again, and look at its log';
}

function noController({ mesh, servers }: CallContext): UnreachableError {
  return new UnreachableError(
    `NATS at ${servers.join(', ')} answers, but no controller of the mesh ${mesh} does`,
    `start one with \`weft controller --mesh ${mesh}\` or \`weft up\`, or correct --mesh`,
  );
}

function noLeader({ mesh }: CallContext): UnreachableError {
  return new UnreachableError(
    `no controller of the mesh ${mesh} leads, so nothing can be changed`,
    '`weft check` says more',
  );
}

/** `user@host`: whose call it is among those that the same key signs. */
function author(): string {
  let user = 'unknown';
  try {
    user = userInfo().username;
  } catch {
    // A user without an entry in the system's list has no name.
  }
  return `${user}@${hostname()}`.slice(0, AUTHOR_MAX);
}
