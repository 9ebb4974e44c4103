import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import { INTRODUCTION_BYTES_MAX, issueIdentity } from '../../src/protocol/identity.ts';
import { introduction, readIntroduction, stateSession } from '../../src/protocol/introduction.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';

const NOW = 1_800_000_000_000;
const root = readRoot(createRoot().seed);
const rootKey = verificationKey(root.publicKey);
const keys = createAgentKeys();
const session = generateKeyPairSync('x25519');
const identity = issueIdentity(root, 'shop', {
  agent: 'web-1',
  signingKey: keys.publicKey,
  boxKey: keys.boxKey,
  workloads: new Set(['checkout.default']),
  issuedAtMs: NOW,
  expiresAtMs: NOW + LIMITS.identityMs,
});
const statement = stateSession(keys.signingKey, 'web-1', session.publicKey);
const text = introduction(identity, statement);
const read = (one: string) => readIntroduction(rootKey, 'shop', one, NOW);

test('an introduction names the agent, its keys and its workloads', (t) => {
  const peer = read(text);
  t.is(peer.agent, 'web-1');
  t.true(peer.publicKey.equals(session.publicKey));
  t.true(peer.signingKey.equals(verificationKey(keys.publicKey)));
  t.deepEqual([...peer.workloads], ['checkout.default']);
});

test('nothing can be put to an introduction: no other text is the same one', (t) => {
  const others = [
    `${text}~`,
    `${text}~x`,
    `${text}~~`,
    `${text}~${'J'.repeat(1_000)}`,
    `~${text}`,
    `${text} `,
  ];
  for (const other of others) {
    t.is(t.throws(() => read(other), { instanceOf: WeftError }).code, 'denied', other.slice(text.length));
  }
});

test('a text that is longer than any introduction is refused before anything of it is read', (t) => {
  const error = t.throws(() => read('~'.repeat(INTRODUCTION_BYTES_MAX + 1)), { instanceOf: WeftError });
  t.is(error.message, `introduction: over ${INTRODUCTION_BYTES_MAX} bytes`);
});
