import test from 'ava';
import fc from 'fast-check';
import { WeftError } from '../../src/protocol/errors.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { openDocument, signDocument, signingKey } from '../../src/protocol/signed-document.ts';

const root = readRoot(createRoot().seed);
const key = signingKey(root);
const publicKey = verificationKey(root.publicKey);
const BYTES_MAX = 64 * 1024;

test('what was signed is read as it was', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (payload) => {
      const plain = JSON.parse(JSON.stringify(payload));
      const text = signDocument(key, 'weft-snapshot', payload);
      t.deepEqual(openDocument(publicKey, 'weft-snapshot', text, BYTES_MAX), plain);
    }),
    { numRuns: 50 },
  );
});

test('a document of one type is none of another', (t) => {
  const text = signDocument(key, 'weft-endpoints', { version: 1 });
  t.throws(() => openDocument(publicKey, 'weft-snapshot', text, BYTES_MAX), { message: /not one of ours/ });
});

test('a document of another root is refused', (t) => {
  const other = signingKey(readRoot(createRoot().seed));
  const text = signDocument(other, 'weft-snapshot', {});
  t.throws(() => openDocument(publicKey, 'weft-snapshot', text, BYTES_MAX), {
    message: /not signed by the root/,
  });
});

test('a document is refused with any of its characters changed', (t) => {
  const text = signDocument(key, 'weft-snapshot', { service: 'orders.default' });
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom(...'aB3-_.='), (at, letter) => {
      fc.pre(text[at] !== letter);
      const changed = text.slice(0, at) + letter + text.slice(at + 1);
      t.throws(() => openDocument(publicKey, 'weft-snapshot', changed, BYTES_MAX), { instanceOf: WeftError });
    }),
    { numRuns: 100 },
  );
});

test('a document over its limit is refused before it is verified', (t) => {
  const text = signDocument(key, 'weft-snapshot', { filler: 'x'.repeat(1000) });
  t.throws(() => openDocument(publicKey, 'weft-snapshot', text, 500), { message: /over 500 bytes/ });
});

test('a signed value that is no object is refused', (t) => {
  for (const payload of [null, 1, 'text', [], true]) {
    const text = signDocument(key, 'weft-snapshot', payload);
    t.throws(() => openDocument(publicKey, 'weft-snapshot', text, BYTES_MAX), { message: /not an object/ });
  }
});

test('whatever the bus brings ends in the error of the protocol', (t) => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      t.throws(() => openDocument(publicKey, 'weft-snapshot', text, BYTES_MAX), { instanceOf: WeftError });
    }),
  );
});
