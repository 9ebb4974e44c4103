/** The keys of one agent, which are made on its host and never leave it. */
import type { KeyObject } from 'node:crypto';
import { createUser } from '@nats-io/nkeys';
import nacl from 'tweetnacl';
import { WeftError } from './errors.ts';
import { ed25519PrivateKey, publicNkeyOf, seedBytes } from './nkey.ts';
import { bytesOfBase64 } from './signed-document.ts';

export interface AgentKeys {
  /** Ed25519, an NKey user seed (`SU…`): the agent's NATS credential too. Secret. */
  readonly seed: string;
  /** Its public half, `U…`. */
  readonly publicKey: string;
  /** Signs what the agent states. */
  readonly signingKey: KeyObject;
  /** X25519, raw: opens what is sealed to this agent alone. Secret. */
  readonly boxSecret: Uint8Array;
  readonly boxKey: Uint8Array;
}

export function createAgentKeys(): AgentKeys {
  const seed = Buffer.from(createUser().getSeed()).toString('latin1');
  return keysOf(seed, nacl.box.keyPair().secretKey) as AgentKeys;
}

/** The text of the file in which an agent keeps its keys. Secret. */
export function agentKeysText({ seed, boxSecret }: AgentKeys): string {
  return `${JSON.stringify({ seed, x25519: Buffer.from(boxSecret).toString('base64url') })}\n`;
}

/** @throws WeftError `internal` if it is not what `agentKeysText` makes; the message does not repeat it */
export function readAgentKeys(text: string): AgentKeys {
  let file: { seed?: unknown; x25519?: unknown } | null = null;
  try {
    file = JSON.parse(text);
  } catch {
    // Said below, without the cause: that one may quote the secret.
  }
  const secret = typeof file?.x25519 === 'string' ? bytesOfBase64(file.x25519, 32) : undefined;
  const keys = typeof file?.seed === 'string' && secret !== undefined ? keysOf(file.seed, secret) : undefined;
  if (keys === undefined) {
    throw new WeftError(
      'internal',
      'agent keys: expected JSON with seed (SU…) and x25519; enrol the agent anew',
    );
  }
  return keys;
}

function keysOf(seed: string, boxSecret: Uint8Array): AgentKeys | undefined {
  const publicKey = publicNkeyOf('user', seed);
  if (publicKey === undefined) return undefined;
  const { publicKey: boxKey } = nacl.box.keyPair.fromSecretKey(boxSecret);
  return Object.freeze({
    seed,
    publicKey,
    signingKey: ed25519PrivateKey(seedBytes(seed)),
    boxSecret,
    boxKey,
  });
}
