import { createPublicKey, verify } from 'node:crypto';
import { createUser, fromSeed } from '@nats-io/nkeys';
import test from 'ava';
import { WeftError } from '../../src/protocol/errors.ts';
import { publicKeyBytes } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';

test('a new root is an account NKey, and different every time', (t) => {
  const one = createRoot();
  t.regex(one.seed, /^SA[A-Z2-7]{56}$/);
  t.regex(one.publicKey, /^A[A-Z2-7]{55}$/);
  t.not(createRoot().seed, one.seed);
});

test('a seed file is read, with the white space around it', (t) => {
  const { seed, publicKey } = createRoot();
  for (const text of [seed, `${seed}\n`, `  ${seed}\r\n`]) t.is(readRoot(text).publicKey, publicKey);
  t.is(readRoot(seed).secret.length, 32);
});

test('the raw public key verifies what the NKey has signed', (t) => {
  const { seed, publicKey } = createRoot();
  const x = Buffer.from(publicKeyBytes(publicKey)).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const text = Buffer.from('text');
  t.true(verify(null, text, key, fromSeed(Buffer.from(seed)).sign(text)));
});

test('anything but one whole account seed is refused, and not repeated', (t) => {
  const { seed, publicKey } = createRoot();
  // Not the last character: two of its bits are of no byte, so another one may stand for the same seed.
  const other = seed.at(-2) === 'A' ? 'B' : 'A';
  const user = Buffer.from(createUser().getSeed()).toString();
  for (const text of [
    '',
    publicKey,
    user,
    seed.slice(1),
    `${seed}\n${seed}`,
    seed.slice(0, -2) + other + seed.slice(-1),
    seed.toLowerCase(),
  ]) {
    const error = t.throws(() => readRoot(text), { instanceOf: WeftError });
    t.is(error.cause, undefined);
    if (text.length > 20) t.false(error.message.includes(text.slice(5, 20)));
  }
});
