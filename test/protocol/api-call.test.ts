import test from 'ava';
import { type ApiCall, CALL_AGE_MS, openCall, signCall } from '../../src/protocol/api-call.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { operatorOf } from '../kit/operator.ts';

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
  t.deepEqual(open({}), { call });
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

const ada = operatorOf(key, 'shop', 'ada', 'editor', { iat: NOW_MS / 1000, exp: NOW_MS / 1000 + 3_600 });
const openText = (text: string, nowMs = NOW_MS) => openCall(publicKey, text, 'shop', 'apply', nowMs);

test("an operator's call says whose it is", (t) => {
  const { call: read, operator } = openText(signCall(ada.key, call, ada.document));
  t.deepEqual(read, call);
  t.like(operator, { name: 'ada', role: 'editor', mesh: 'shop' });
});

test("an operator's call holds with its own document only, in its place", (t) => {
  const eve = operatorOf(key, 'shop', 'eve', 'viewer', { iat: NOW_MS / 1000, exp: NOW_MS / 1000 + 3_600 });
  t.throws(() => openText(signCall(eve.key, call, ada.document)), { message: /not signed by/ });
  t.throws(() => openText(signCall(ada.key, call)), { message: /not signed by/ });
  const signed = signCall(ada.key, call);
  t.throws(() => openText(`${signed}~${ada.document}`), { message: /operator document/ });
  t.throws(() => openText(`${ada.document}~${ada.document}~${signed}`), { message: /expected/ });
  t.throws(() => openText(`${ada.document}~`), { message: /not one of ours/ });
});

test('operators that another root has made, or for another mesh, are nobody', (t) => {
  const stranger = operatorOf(signingKey(readRoot(createRoot().seed)), 'shop', 'ada', 'admin');
  t.throws(() => openText(signCall(stranger.key, call, stranger.document)), {
    message: /not signed by the root/,
  });
  const foreign = operatorOf(key, 'other', 'ada', 'admin', { iat: NOW_MS / 1000, exp: NOW_MS / 1000 + 60 });
  t.throws(() => openText(signCall(foreign.key, call, foreign.document)), { message: /another mesh/ });
});

test("an operator's document holds from its beginning to its end", (t) => {
  const text = (iat: number, exp: number) => {
    const { key: own, document } = operatorOf(key, 'shop', 'ada', 'admin', { iat, exp });
    return signCall(own, call, document);
  };
  const nowS = NOW_MS / 1000;
  t.notThrows(() => openText(text(nowS - 10, nowS + 1)));
  t.throws(() => openText(text(nowS - 10, nowS)), { message: /ada: expired at .*weft operator create/ });
  t.throws(() => openText(text(nowS + 61, nowS + 100)), { message: /not valid yet/ });
  t.throws(() => openText(text(nowS, nowS + 400 * 86_400)), { message: /over 366 days/ });
});
