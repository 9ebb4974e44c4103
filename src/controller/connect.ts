/** The controller's connection to NATS: it redials for ever, and says at once when it is lost. */
import { readFileSync } from 'node:fs';
import { credsAuthenticator, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { LIMITS } from '../protocol/limits.ts';
import { natsTls } from '../protocol/nats-tls.ts';
import { natsUser } from '../protocol/nats-user.ts';
import { publicNkeyOf } from '../protocol/nkey.ts';
import { userInbox } from '../protocol/subjects.ts';

export interface ConnectOptions {
  readonly servers: readonly string[];
  /** A NATS credentials file, read again at each dial. */
  readonly creds?: string | undefined;
  /** Seed of the controllers' NATS user, if there are no credentials. Secret. */
  readonly natsSeed?: string | undefined;
}

/** Dials once. @throws the client's error if no server answers */
export function connectController({ servers, creds, natsSeed }: ConnectOptions): Promise<NatsConnection> {
  return connect({
    servers: [...servers],
    ...natsTls(servers),
    ...(creds === undefined ? {} : { authenticator: credsAuthenticator(() => readFileSync(creds)) }),
    ...(creds !== undefined || natsSeed === undefined
      ? {}
      : natsUser(() => natsSeed, userInbox(publicNkeyOf('user', natsSeed)!))),
    name: 'weft-controller',
    // An error is made for each request otherwise, before there is one.
    noAsyncTraces: true,
    timeout: LIMITS.busDialMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: LIMITS.busRedialMs,
    reconnectJitter: LIMITS.busRedialJitterMs,
    pingInterval: LIMITS.busPingMs,
    maxPingOut: LIMITS.busPingsMax,
    ignoreAuthErrorAbort: true,
  });
}

/** Calls `lost` when the connection is known to be gone, also for good, and `back` when it is there again. */
export async function followConnection(
  connection: NatsConnection,
  events: { lost(): void; back(): void },
): Promise<void> {
  let up = true;
  for await (const { type } of connection.status()) {
    if ((type === 'disconnect' || type === 'staleConnection') && up) {
      up = false;
      events.lost();
      if (type === 'staleConnection') hangUp(connection);
    } else if (type === 'reconnect' && !up) {
      up = true;
      events.back();
    }
  }
  events.lost();
}

/**
 * Ends a connection whose server has stopped reading. The client would first wait for what it has written to leave, which is
 * for ever, and it offers no way to end the socket, so its own is taken.
 */
function hangUp(connection: NatsConnection): void {
  const { protocol } = connection as { protocol?: { transport?: { socket?: { destroy(): void } } } };
  protocol?.transport?.socket?.destroy();
}
