import type { KeyObject } from 'node:crypto';
import { createUser } from '@nats-io/nkeys';
import type { CallSigner } from '../../src/cli/context.ts';
import { ed25519PrivateKey, seedBytes } from '../../src/protocol/nkey.ts';
import { type Operator, type Role, signOperator } from '../../src/protocol/operator.ts';

/** Credentials of an operator, made with that root. `changes`: of what the root says of it. */
export function operatorOf(
  rootKey: KeyObject,
  mesh: string,
  name: string,
  role: Role,
  changes: Partial<Operator> = {},
): CallSigner & { readonly document: string } {
  const user = createUser();
  const iat = Math.floor(Date.now() / 1000);
  const document = signOperator(rootKey, {
    mesh,
    name,
    role,
    key: user.getPublicKey(),
    iat,
    exp: iat + 3_600,
    ...changes,
  });
  const seed = Buffer.from(user.getSeed()).toString('latin1');
  return { key: ed25519PrivateKey(seedBytes(seed)), document };
}
