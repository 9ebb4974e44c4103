import test from 'ava';
import { type ApiCall, CALL_AGE_MS, openCall, signCall } from '../../src/protocol/api-call.ts';
import { verificationKey } from '../../src/protocol/identity.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';

const root = readRoot(createRoot().seed);
const key = signingKey(root);
const publicKey = verificationKey(root.publicKey);
const NOW_MS = 1_800_000_000_000;

const call: ApiCall = {
  verb: 'apply',
  mesh: 'shop',
  timeMs: NOW_MS,
  nonce: '0123456789abcdef0123456789abcdef',
  author: 'ada@web-1',
  request: { resources: [] },
};
const open = (changes: object, verb = 'apply', mesh = 'shop', nowMs = NOW_MS) =>
  openCall(publicKey, signCall(key, { ...call, ...changes }), mesh, verb, nowMs);

test('a signed call is read as it was', (t) => {
  t.deepEqual(open({}), call);
});

test('a call holds for its verb and its mesh only', (t) => {
  t.throws(() => open({}, 'delete'), { message: /another verb or mesh/ });
  t.throws(() => open({}, 'apply', 'other'), { message: /another verb or mesh/ });
});

test('a call holds for a minute around its time', (t) => {
  t.notThrows(() => open({}, 'apply', 'shop', NOW_MS + CALL_AGE_MS));
  t.throws(() => open({}, 'apply', 'shop', NOW_MS + CALL_AGE_MS + 1), { message: /too old/ });
  t.throws(() => open({}, 'apply', 'shop', NOW_MS - CALL_AGE_MS - 1), { message: /too old/ });
  t.throws(() => open({ timeMs: 'now' }), { message: /too old/ });
});

test('a call without a nonce or an author is refused', (t) => {
  t.throws(() => open({ nonce: 'short' }), { message: /no nonce/ });
  t.throws(() => open({ author: 'x'.repeat(257) }), { message: /no author/ });
});
