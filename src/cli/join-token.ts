/** Join tokens, as the controller makes them for an operator. */
import nacl from 'tweetnacl';
import { joinTokenText } from '../protocol/enrolment.ts';
import { openToken } from '../protocol/token-answer.ts';
import type { ApiClient } from './api-client.ts';
import type { MeshContext } from './context.ts';

export interface NewToken {
  readonly host: string;
  /** Services that the host may speak and serve for. */
  readonly workloads: readonly string[];
  readonly ttlMs: number;
  /** Seed of the NATS user that may join and nothing else, if NATS asks for one. */
  readonly natsSeed?: string | undefined;
}

/**
 * Has the controller make a token.
 * @returns its text, which is secret, and until when it can be used, wall clock
 * @throws ApiRefusal, UnreachableError; WeftError `denied` if what comes back is not the controller's
 */
export async function makeToken(
  api: ApiClient,
  context: MeshContext,
  { host, workloads, ttlMs, natsSeed }: NewToken,
): Promise<{ readonly text: string; readonly expiresMs: number }> {
  const root = await context.rootPublicKey();
  const keys = nacl.box.keyPair();
  const sealTo = Buffer.from(keys.publicKey).toString('base64url');
  const { sealed } = await api.call('token', { host, workloads, ttlMs, sealTo });
  const { id, secret, expiresMs } = openToken(keys, sealed);
  const text = joinTokenText({
    mesh: context.mesh,
    host,
    root,
    id,
    secret,
    nats: context.servers,
    ...(natsSeed === undefined ? {} : { natsSeed }),
  });
  return { text, expiresMs };
}
