import { createAccount, createUser, fromPublic, fromSeed } from '@nats-io/nkeys';
import test from 'ava';
import { isPublicNkey, publicNkeyOf, verificationKey } from '../../src/protocol/nkey.ts';

const KINDS = [
  ['account', createAccount],
  ['user', createUser],
] as const;

for (const [kind, create] of KINDS) {
  test(`the public NKey of a seed is the one that the library of NATS derives: ${kind}`, (t) => {
    for (let i = 0; i < 20; i++) {
      const pair = create();
      const seed = Buffer.from(pair.getSeed()).toString('latin1');
      const text = publicNkeyOf(kind, seed);
      t.is(text, fromSeed(pair.getSeed()).getPublicKey());
      t.is(text, fromPublic(text as string).getPublicKey());
      t.true(isPublicNkey(kind, text));
      t.notThrows(() => verificationKey(text as string));
    }
  });
}

test('a seed of another kind, cut, or with a letter changed has no public NKey', (t) => {
  const seed = Buffer.from(createUser().getSeed()).toString('latin1');
  const letter = seed[20] === 'A' ? 'B' : 'A';
  t.is(publicNkeyOf('account', seed), undefined);
  t.is(publicNkeyOf('user', seed.slice(0, -1)), undefined);
  t.is(publicNkeyOf('user', `${seed.slice(0, 20)}${letter}${seed.slice(21)}`), undefined);
  t.is(publicNkeyOf('user', seed.toLowerCase()), undefined);
});
