import test from 'ava';
import fc from 'fast-check';
import {
  checkAnswer,
  type GivenAnswer,
  PROOF_BYTES_MAX,
  proveAnswer,
} from '../../src/protocol/answer-proof.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import { VERB_RIGHTS } from '../../src/protocol/verb-rights.ts';

const ROOT = readRoot(createRoot().seed);
const OTHER = readRoot(createRoot().seed);
const KEY = verificationKey(ROOT.publicKey);
const GIVEN: GivenAnswer = {
  mesh: 'shop',
  verb: 'get',
  call: Buffer.from('a call'),
  answer: Buffer.from('{"ok":true}'),
};
const PROOF = proveAnswer(signingKey(ROOT), GIVEN);

test('a proof holds for its own answer to its own call, and for no other', (t) => {
  t.notThrows(() => checkAnswer(KEY, GIVEN, [PROOF]));
  fc.assert(
    fc.property(fc.constantFrom('mesh', 'verb', 'call', 'answer'), fc.string(), (field, text) => {
      const isText = field === 'mesh' || field === 'verb';
      fc.pre(text !== String(GIVEN[field]));
      const other = { ...GIVEN, [field]: isText ? text : Buffer.from(text) };
      t.throws(() => checkAnswer(KEY, other, [PROOF]), {
        code: 'denied',
        message: field === 'answer' ? /was changed on its way/ : /was given to another call/,
      });
    }),
  );
});

test('nothing else than a proof of the root is taken for one', (t) => {
  const claims = JSON.parse(Buffer.from(PROOF.split('.')[1]!, 'base64url').toString());
  const asCall = signDocument(signingKey(ROOT), 'weft-call', claims);
  for (const proof of [
    '',
    'a.b.c',
    `${PROOF}.`,
    PROOF.slice(1),
    asCall,
    proveAnswer(signingKey(OTHER), GIVEN),
  ]) {
    t.throws(() => checkAnswer(KEY, GIVEN, [proof]), {
      message: /is not signed by the root that is known here/,
    });
  }
  t.throws(() => checkAnswer(KEY, GIVEN, []), { message: 'the answer is not signed' });
});

test('of several proofs that of the root which is known counts, and only so many are tried as there can be roots', (t) => {
  const other = proveAnswer(signingKey(OTHER), GIVEN);
  t.notThrows(() => checkAnswer(KEY, GIVEN, [other, PROOF]));
  t.throws(() => checkAnswer(KEY, GIVEN, [other, other, PROOF]));
});

test('the longest names have room in a proof', (t) => {
  for (const verb of Object.keys(VERB_RIGHTS)) {
    const proof = proveAnswer(signingKey(ROOT), { ...GIVEN, mesh: 'm'.repeat(63), verb });
    t.true(proof.length <= PROOF_BYTES_MAX);
  }
});
