/** Calls to the controller over NATS, as `weft` commands make them. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import {
  AuthorizationError,
  credsAuthenticator,
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { ApiVerbs, Verb } from '../protocol/api.ts';
import { type ApiAnswer, CHANGING_VERBS, signCall } from '../protocol/api-call.ts';
import { apiSubject } from '../protocol/subjects.ts';
import { createAnswerReader } from './api-answer.ts';
import { ApiRefusal } from './api-refusal.ts';
import { type ContextOptions, type MeshContext, resolveContext } from './context.ts';
import { UnreachableError, UsageError } from './exit.ts';

const DIAL_MS = 5_000;
const ANSWER_MS = 5_000;
/** When a controller is lost, another one leads within this. */
const LEADER_MS = 5_000;
const LEADER_POLL_MS = 250;
const AUTHOR_MAX = 256;

export interface ApiClient {
  /** @throws ApiRefusal, UnreachableError if no controller answers, UsageError if the call is too large */
  call<V extends Verb>(verb: V, request: ApiVerbs[V]['request']): Promise<ApiVerbs[V]['response']>;
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

/** @throws UnreachableError that says why NATS takes no connection */
export async function connectOperator({ servers, creds }: MeshContext): Promise<NatsConnection> {
  try {
    return await connect({
      servers: [...servers],
      ...(creds === undefined ? {} : { authenticator: credsAuthenticator(() => readFileSync(creds)) }),
      name: 'weft',
      timeout: DIAL_MS,
      reconnect: false,
    });
  } catch (cause) {
    const where = servers.join(', ');
    const { message } = cause as Error;
    throw cause instanceof AuthorizationError
      ? new UnreachableError(
          `NATS at ${where} refuses this client (${message})`,
          'give its credentials with --creds',
          { cause },
        )
      : new UnreachableError(
          `cannot reach NATS at ${where} (${message})`,
          'does it run, and can this host reach it? --nats names another address',
          { cause },
        );
  }
}

export function createApiClient(connection: NatsConnection, context: MeshContext): ApiClient {
  const readAnswer = createAnswerReader();

  const payloadOf = async (verb: Verb, request: unknown): Promise<string> => {
    const payload = CHANGING_VERBS.has(verb)
      ? signCall(await context.signingKey(), {
          verb,
          mesh: context.mesh,
          timeMs: Date.now(),
          nonce: randomBytes(16).toString('hex'),
          author: author(),
          request,
        })
      : JSON.stringify(request);
    const bytesMax = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (payload.length > bytesMax) {
      throw new UsageError(
        `${verb}: ${payload.length} bytes, and NATS takes ${bytesMax} at once: send fewer resources at a time`,
      );
    }
    return payload;
  };

  async function once<V extends Verb>(
    verb: V,
    request: ApiVerbs[V]['request'],
  ): Promise<ApiAnswer<ApiVerbs[V]['response']>> {
    const payload = await payloadOf(verb, request);
    const answer = await connection.request(apiSubject(context.mesh, verb), payload, { timeout: ANSWER_MS });
    return readAnswer(verb, answer.data);
  }

  /** A controller that stands by answers what changes nothing. */
  const standsBy = () =>
    once('programmed', { snapshots: [] }).then(
      () => true,
      () => false,
    );

  return Object.freeze({
    connection,
    async call<V extends Verb>(verb: V, request: ApiVerbs[V]['request']) {
      const untilMs = performance.now() + LEADER_MS;
      for (;;) {
        let answer: ApiAnswer<ApiVerbs[V]['response']> | undefined;
        try {
          answer = await once(verb, request);
        } catch (error) {
          if (!isNoResponders(error)) throw unanswered(error, verb, context, connection.isClosed());
        }
        if (answer?.ok === true) return answer.response;
        if (answer !== undefined && answer.error.code !== 'not_leading') throw new ApiRefusal(answer.error);
        // Nobody has taken the call: it can be made again, when one of those that stand by has become the leader.
        const stands = CHANGING_VERBS.has(verb) && (answer !== undefined || (await standsBy()));
        if (!stands) throw noController(context);
        if (performance.now() >= untilMs) throw noLeader(context);
        await wait(LEADER_POLL_MS);
      }
    },
  });
}

function isNoResponders(error: unknown): boolean {
  return error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
}

function unanswered(error: unknown, verb: Verb, { mesh, servers }: MeshContext, closed: boolean): unknown {
  const cause = error instanceof RequestError && error.cause !== undefined ? error.cause : error;
  const next = CHANGING_VERBS.has(verb)
    ? 'whether the change was made is not known; `weft history` tells'
    : 'try again, and look at its log';
  if (cause instanceof TimeoutError) {
    const what = `the controller of the mesh ${mesh} did not answer within ${ANSWER_MS / 1000} s`;
    return new UnreachableError(what, next, { cause });
  }
  if (closed) {
    return new UnreachableError(`the connection to NATS at ${servers.join(', ')} broke`, next, { cause });
  }
  if (cause instanceof PermissionViolationError) {
    const what = `NATS does not let this user call the controller (${cause.message})`;
    return new UnreachableError(what, 'give credentials that may with --creds', { cause });
  }
  return error;
}

function noController({ mesh, servers }: MeshContext): UnreachableError {
  return new UnreachableError(
    `NATS at ${servers.join(', ')} answers, but no controller of the mesh ${mesh} does`,
    `start one with \`weft controller --mesh ${mesh}\` or \`weft up\`, or correct --mesh`,
  );
}

function noLeader({ mesh }: MeshContext): UnreachableError {
  return new UnreachableError(
    `no controller of the mesh ${mesh} leads, so nothing can be changed`,
    '`weft check` says more',
  );
}

/** `user@host`, for the history. */
function author(): string {
  let user = 'unknown';
  try {
    user = userInfo().username;
  } catch {
    // A user without an entry in the system's list has no name.
  }
  return `${user}@${hostname()}`.slice(0, AUTHOR_MAX);
}
