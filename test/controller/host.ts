/** A host that enrols, as its agent does: keys of its own, a token, grants. */
import { randomBytes } from 'node:crypto';
import nacl from 'tweetnacl';
import { createAgentKeyring } from '../../src/agent/trust/agent-keyring.ts';
import { type AgentKeys, createAgentKeys } from '../../src/protocol/agent-keys.ts';
import {
  type Grant,
  type JoinRequest,
  openGrant,
  proofOfNext,
  signJoin,
  signRenewal,
} from '../../src/protocol/enrolment.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { readRoot } from '../../src/protocol/root.ts';
import { type MadeToken, openToken } from '../../src/protocol/token-answer.ts';
import { type ControlPlane, MESH } from './control-plane.ts';

export const rootKeyOf = ({ seed }: ControlPlane) => verificationKey(readRoot(seed).publicKey);

/** A token, made by an operator. */
export async function invite(
  plane: ControlPlane,
  host: string,
  workloads: readonly string[],
  ttlMs = 60_000,
): Promise<MadeToken> {
  const keys = nacl.box.keyPair();
  const sealTo = Buffer.from(keys.publicKey).toString('base64url');
  const { sealed } = await plane.done('token', { host, workloads, ttlMs, sealTo });
  return openToken(keys, sealed);
}

/** What a host sends with a token. */
export function joinOf(
  token: MadeToken,
  host: string,
  keys: AgentKeys = createAgentKeys(),
  change: Partial<JoinRequest> = {},
) {
  const nonce = randomBytes(16).toString('hex');
  const request: JoinRequest = {
    mesh: MESH,
    host,
    token: token.id,
    key: keys.publicKey,
    x25519: Buffer.from(keys.boxKey).toString('base64url'),
    nonce,
    timeMs: Date.now(),
    ...change,
  };
  return { keys, nonce, message: signJoin(keys, token.secret, request) };
}

/** Joins, and can renew from then on. */
export async function enrol(plane: ControlPlane, host: string, workloads: readonly string[]) {
  const token = await invite(plane, host, workloads);
  const { keys: first, nonce, message } = joinOf(token, host);
  const { grant } = await plane.done('join', { message });
  const granted = openGrant(rootKeyOf(plane), MESH, host, nonce, grant);
  const keyring = createAgentKeyring({
    mesh: MESH,
    agent: host,
    keys: first,
    identity: granted.identity,
    roots: [readRoot(plane.seed).publicKey],
    now: Date.now,
  });
  keyring.take(granted, first);

  const renewalOf = (next?: AgentKeys, services: readonly string[] = workloads) => {
    const asked = randomBytes(16).toString('hex');
    const { keys, identityDocument } = keyring;
    const message = signRenewal(keys, identityDocument, {
      mesh: MESH,
      agent: host,
      nonce: asked,
      timeMs: Date.now(),
      services,
      ...(next === undefined
        ? {}
        : {
            next: {
              key: next.publicKey,
              x25519: Buffer.from(next.boxKey).toString('base64url'),
              proof: proofOfNext(next, host, asked),
            },
          }),
    });
    return { nonce: asked, message };
  };
  return {
    token,
    keyring,
    granted,
    renewalOf,
    /** @throws Error if it is refused */
    async renew(next?: AgentKeys): Promise<Grant> {
      const { nonce: asked, message: text } = renewalOf(next);
      const answer = await plane.settled('renew', { message: text });
      if (!answer.ok) throw new Error(answer.error.message);
      const roots = keyring.roots.map(verificationKey);
      const again = openGrant(roots, MESH, host, asked, answer.response.grant);
      keyring.take(again, next ?? keyring.keys);
      return again;
    },
  };
}
