import test from 'ava';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { natsUser } from '../../src/protocol/nats-user.ts';
import { headerOf } from '../../src/protocol/signed-document.ts';

const { seed, publicKey } = createAgentKeys();
const { authenticator } = natsUser(() => seed, '_INBOX.x');
const shown = authenticator as (nonce?: string) => { nkey?: string; sig?: string };

test('what a server asks for is signed with the key', (t) => {
  const { nkey, sig } = shown('eSXcnqnd4Rzqk3M');
  t.is(nkey, publicKey);
  t.is(Buffer.from(sig as string, 'base64').length, 64);
});

test('a server cannot have a document signed in the place of a nonce', (t) => {
  const document = `${headerOf('weft-session')}.${Buffer.from('{"agent":"app-1"}').toString('base64url')}`;
  for (const nonce of [document, 'a'.repeat(44), '', 'weft evidence 1', 'a.b']) {
    t.throws(() => shown(nonce), { message: /no nonce/ }, nonce);
  }
});
