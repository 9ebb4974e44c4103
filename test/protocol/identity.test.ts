import test from 'ava';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import { checkIdentity, IDENTITY_BYTES_MAX, issueIdentity } from '../../src/protocol/identity.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { label, service } from './arbitraries.ts';

const NOW = 1_800_000_000_000;
const DAY_MS = 86_400_000;
const root = readRoot(createRoot().seed);
const rootKey = verificationKey(root.publicKey);
const keys = createAgentKeys();

function issue(agent = 'web-1', services = ['checkout.default'], mesh = 'shop') {
  const { publicKey: signingKey, boxKey } = keys;
  const times = { issuedAtMs: NOW, expiresAtMs: NOW + DAY_MS };
  return issueIdentity(root, mesh, { agent, signingKey, boxKey, workloads: new Set(services), ...times });
}

/** A document with any claims, signed by the root. */
function sign(claims: unknown, header: unknown = { alg: 'EdDSA', typ: 'weft-identity' }): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part(header)}.${part(claims)}`;
  const { secretKey } = nacl.sign.keyPair.fromSeed(root.secret);
  return `${text}.${Buffer.from(nacl.sign.detached(Buffer.from(text), secretKey)).toString('base64url')}`;
}

const CLAIMS = {
  sub: 'spiffe://shop/agent/web-1',
  iat: NOW / 1000,
  exp: NOW / 1000 + 60,
  key: keys.publicKey,
  x25519: Buffer.from(keys.boxKey).toString('base64url'),
  workloads: ['spiffe://shop/ns/default/sa/checkout'],
};

test('an issued document is read as the identity it was made from', (t) => {
  fc.assert(
    fc.property(label, label, fc.uniqueArray(service, { maxLength: 10 }), (mesh, agent, services) => {
      const peer = checkIdentity(rootKey, mesh, issue(agent, services, mesh), NOW + 1);
      t.is(peer.agent, agent);
      t.deepEqual([...peer.workloads], services);
      t.is(peer.expiresAtMs, NOW + DAY_MS);
      t.is(peer.signingKey, keys.publicKey);
      t.deepEqual(Buffer.from(peer.boxKey), Buffer.from(keys.boxKey));
      t.is(peer.issuedAtMs, NOW);
    }),
    { numRuns: 20 },
  );
});

test('a document is valid until it expires, and not long before it is issued', (t) => {
  const document = issue();
  t.notThrows(() => checkIdentity(rootKey, 'shop', document, NOW + DAY_MS - 1));
  t.notThrows(() => checkIdentity(rootKey, 'shop', document, NOW - 30_000));
  for (const now of [NOW + DAY_MS, NOW - 120_000]) {
    const error = t.throws(() => checkIdentity(rootKey, 'shop', document, now), { instanceOf: WeftError });
    t.is(error.code, 'denied');
  }
});

test('a document with any character changed, or of another root or mesh, is refused', (t) => {
  const document = issue();
  for (let at = 0; at < document.length; at += 1) {
    const forged = document.slice(0, at) + (document[at] === 'A' ? 'B' : 'A') + document.slice(at + 1);
    const error = t.throws(() => checkIdentity(rootKey, 'shop', forged, NOW), { instanceOf: WeftError });
    t.is(error.code, 'denied');
  }
  const other = verificationKey(createRoot().publicKey);
  t.throws(() => checkIdentity(other, 'shop', document, NOW), { instanceOf: WeftError });
  t.throws(() => checkIdentity(rootKey, 'shop-2', document, NOW), { instanceOf: WeftError });
});

test('what the root has signed for another purpose is no identity', (t) => {
  t.notThrows(() => checkIdentity(rootKey, 'shop', sign(CLAIMS), NOW));
  for (const header of [{ alg: 'none' }, { alg: 'EdDSA' }, { alg: 'EdDSA', typ: 'weft-snapshot' }]) {
    t.throws(() => checkIdentity(rootKey, 'shop', sign(CLAIMS, header), NOW), { instanceOf: WeftError });
  }
});

test('signed claims that make no sense are refused', (t) => {
  for (const claims of [
    null,
    7,
    [],
    {},
    { ...CLAIMS, sub: 7 },
    { ...CLAIMS, sub: 'spiffe://shop/agent/A' },
    { ...CLAIMS, iat: '1' },
    { ...CLAIMS, exp: 1e300 },
    { ...CLAIMS, exp: -1 },
    { ...CLAIMS, key: undefined },
    { ...CLAIMS, key: root.publicKey },
    { ...CLAIMS, x25519: 'AAAA' },
    { ...CLAIMS, x25519: undefined },
    { ...CLAIMS, workloads: 'spiffe://shop/ns/default/sa/checkout' },
    { ...CLAIMS, workloads: ['spiffe://other/ns/default/sa/checkout'] },
    { ...CLAIMS, workloads: [null] },
  ]) {
    const error = t.throws(() => checkIdentity(rootKey, 'shop', sign(claims), NOW), {
      instanceOf: WeftError,
    });
    t.is(error.code, 'denied', JSON.stringify(claims));
  }
});

test('a document that would not fit a packet is not issued, and not read', (t) => {
  const many = Array.from({ length: 1000 }, (_, i) => `service-${i}.default`);
  t.throws(() => issue('web-1', many), { instanceOf: WeftError });
  const long = 'a'.repeat(IDENTITY_BYTES_MAX);
  t.throws(() => checkIdentity(rootKey, 'shop', `${long}.a.a`, NOW), { instanceOf: WeftError });
});
