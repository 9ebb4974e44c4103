import test from 'ava';
import { createIdentify } from '../../../src/agent/control/identities.ts';
import { INTRODUCTION_BYTES_MAX } from '../../../src/protocol/identity.ts';
import { createRoot } from '../../../src/protocol/root.ts';
import { createRootKeyring } from '../../kit/root-keyring.ts';

/** What it asks the keyring to verify. */
function identified() {
  const now = () => 1_800_000_000_000;
  const { seed } = createRoot();
  const keyring = createRootKeyring({ rootSeed: seed, mesh: 'shop', agent: 'web-1', workloads: [], now });
  const verified: string[] = [];
  const verify: typeof keyring.verify = (document) => {
    verified.push(document);
    return keyring.verify(document);
  };
  const identify = createIdentify({ ...keyring, document: keyring.document, verify }, now);
  return { document: keyring.document, identify, verified };
}

test('a document is verified once, whether or not it is good, until who is trusted has changed', (t) => {
  const { document, identify, verified } = identified();
  const first = identify(document);
  t.is(first?.agent, 'web-1');
  t.is(identify(document), first);
  for (let count = 0; count < 3; count++) t.is(identify(`${document}~x`), undefined);
  t.deepEqual(verified, [document, `${document}~x`]);
  identify.forget();
  t.is(identify(document)?.agent, 'web-1');
  t.is(verified.length, 3);
});

test('what is longer than any introduction is nobody, and is neither verified nor remembered', (t) => {
  const { document, identify, verified } = identified();
  t.is(identify(`${document}~${'J'.repeat(INTRODUCTION_BYTES_MAX)}`), undefined);
  t.deepEqual(verified, []);
});
