import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { endpointTag } from '../../../src/agent/outbound/endpoint-tag.ts';
import { Sessions } from '../../../src/agent/outbound/session-persistence.ts';
import type { Fields } from '../../../src/protocol/fields.ts';
import type { PeerIdentity } from '../../../src/protocol/introduction.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import { type ForwardPlan, planRequest } from '../../../src/protocol/routes/plan.ts';
import { createRouteTable } from '../../../src/protocol/routes/route-table.ts';
import type { Rule, Session } from '../../../src/protocol/snapshot.ts';
import { backend, oneRule, requestHeaders } from '../../protocol/routes/routes.ts';

const { publicKey } = generateKeyPairSync('x25519');
const COOKIE: Session = { type: 'Cookie', name: 'sid', path: '/', permanent: false };
const HEADER: Session = { type: 'Header', name: 'x-session' };
const BACKENDS = [backend('v1.default', { weight: 1 }), backend('v2.default', { weight: 0 })];

/** Sessions over endpoints `a` and `b` of v1 and `c` of v2, all of which can be asked until one is gone. */
function create() {
  const clock = { wallMs: 1_700_000_000_000 };
  const gone = new Set<string>();
  const agents: Record<string, readonly string[]> = { 'v1.default': ['a', 'b'], 'v2.default': ['c'] };
  const asked: string[] = [];
  const identities = new Map<string, PeerIdentity>();
  for (const agent of ['a', 'b', 'c']) {
    identities.set(agent, {
      agent,
      publicKey,
      signingKey: publicKey,
      workloads: new Set(),
      issuer: '',
      issuedAtMs: 0,
      expiresAtMs: 9e15,
    });
  }
  const pickTagged = (service: string, tag: string) => {
    asked.push(service);
    const agent = agents[service]?.find((one) => endpointTag(service, one) === tag && !gone.has(one));
    return agent === undefined ? undefined : identities.get(agent);
  };
  const sessions = new Sessions({ pickTagged }, () => clock.wallMs);
  const plan = (rule: Partial<Rule>, fields: Fields) => {
    const request = { method: 'GET', target: '/', hostname: 'orders', port: 80, fields };
    const made = planRequest(
      createRouteTable(oneRule({ backends: BACKENDS, ...rule })),
      request,
      () => 0,
      sessions,
    );
    if (made === undefined || made.answer !== undefined || made.auth !== undefined)
      throw new Error('it is not forwarded');
    return made;
  };
  /** What the client of a new session with `agent` of v1 sends from then on. */
  const begun = (rule: Partial<Rule>, agent = 'a') => cookieOf(sessions.begin(plan(rule, []), agent, []));
  return { sessions, plan, begun, clock, gone, asked };
}

const cookieOf = (fields: Fields) => (fields[1] as string).split(';')[0] as string;
const where = ({ backend: service, session }: ForwardPlan) =>
  `${service} ${session?.endpoint.agent ?? 'drawn'}`;

test('A8: a rule without sessions reads no token and adds nothing to a response', (t) => {
  const { sessions, plan, begun, asked } = create();
  const plain = plan({}, ['cookie', begun({ session: COOKIE })]);
  t.is(where(plain), 'v1.default drawn');
  const fields: Fields = ['x', 'y'];
  t.is(sessions.begin(plain, 'a', fields), fields);
  t.deepEqual(asked, []);
});

test('A8: a session goes on at its backend and endpoint, and the client is not told again', (t) => {
  const { sessions, plan, begun } = create();
  const rule = { session: COOKIE };
  for (const agent of ['a', 'b']) {
    const next = plan(rule, ['cookie', begun(rule, agent)]);
    t.is(where(next), `v1.default ${agent}`);
    t.deepEqual(sessions.begin(next, agent, ['x', 'y']), ['x', 'y']);
  }
});

test('A8: a live session beats the weights, even one of 0, and all of them being 0', (t) => {
  const { plan, begun } = create();
  const open = { session: COOKIE, backends: [backend('v1.default', { weight: 1 })] };
  const cookie = begun(open);
  for (const backends of [
    [backend('v1.default', { weight: 0 }), backend('v2.default')],
    [backend('v1.default', { weight: 0 })],
  ]) {
    t.is(where(plan({ session: COOKIE, backends }, ['cookie', cookie])), 'v1.default a');
  }
});

test('A8: a session whose endpoint or backend is gone, or is invalid, is begun anew by the weights', (t) => {
  const { sessions, plan, begun, gone } = create();
  const rule = { session: COOKIE };
  const cookie = begun(rule);
  gone.add('a');
  const anew = plan(rule, ['cookie', cookie]);
  t.is(where(anew), 'v1.default drawn');
  const [name, value] = sessions.begin(anew, 'b', []);
  t.is(name, 'set-cookie');
  t.not(value?.split(';')[0], cookie);
  gone.clear();
  const backends = [backend('v2.default')];
  t.is(where(plan({ session: COOKIE, backends }, ['cookie', cookie])), 'v2.default drawn');
  const invalid = [backend('v1.default', { weight: 0, invalid: 'BackendNotFound' }), ...backends];
  t.is(where(plan({ session: COOKIE, backends: invalid }, ['cookie', cookie])), 'v2.default drawn');
});

test('A8: an answer of another endpoint than that of the session begins another one', (t) => {
  const { sessions, plan, begun } = create();
  const rule = { session: COOKIE };
  const next = plan(rule, ['cookie', begun(rule, 'a')]);
  t.is(sessions.begin(next, 'b', [])[0], 'set-cookie');
});

test('A8: no other rule knows the session: of another route, another place or name, or another service', (t) => {
  const { plan, begun } = create();
  const unnamed = { session: COOKIE, route: 'default/one', index: 0 };
  const cookie = ['cookie', begun({ ...unnamed, name: 'first' })];
  t.is(
    where(plan({ ...unnamed, name: 'first', index: 7 }, cookie)),
    'v1.default a',
    'its name is what counts',
  );
  for (const other of [
    { name: 'second' },
    { name: 'first', route: 'default/two' },
    { name: 'first', route: 'shop/one' },
  ]) {
    t.is(where(plan({ ...unnamed, ...other }, cookie)), 'v1.default drawn', JSON.stringify(other));
  }
});

test('A8: one service with two filters is two backends', (t) => {
  const { plan, begun, sessions } = create();
  const backends = [
    backend('v1.default', { weight: 0 }),
    backend('v1.default', { weight: 1, filters: [requestHeaders([['x-variant', 'two']])] }),
  ];
  const rule = { session: COOKIE, backends };
  const first = plan(rule, []);
  t.deepEqual(first.fields, ['x-variant', 'two']);
  const cookie = cookieOf(sessions.begin(first, 'a', []));
  const swapped = [
    { ...backends[0]!, weight: 1 },
    { ...backends[1]!, weight: 0 },
  ];
  t.deepEqual(plan({ ...rule, backends: swapped }, ['cookie', cookie]).fields.slice(-2), [
    'x-variant',
    'two',
  ]);
  t.not(begun({ ...rule, backends: swapped }), cookie);
});

test('A8: of several cookies the one that is alive counts, wherever it stands', (t) => {
  const { plan, begun } = create();
  const rule = { session: COOKIE };
  const cookie = begun(rule, 'b');
  for (const fields of [
    ['cookie', `a=1; ${cookie}; b=2`],
    ['cookie', `sid=; sid=broken;sid; xsid=1; ${cookie}`],
    ['cookie', 'a=1', 'cookie', `sid=x;  ${cookie} `],
  ]) {
    t.is(where(plan(rule, fields)), 'v1.default b', fields.join());
  }
  for (const fields of [
    ['cookie', cookie.replace('sid', 'SID')],
    ['x-other', cookie],
    ['cookie', cookie.replace('sid', 'xsid')],
  ]) {
    t.is(where(plan(rule, fields)), 'v1.default drawn', fields.join());
  }
});

test('A8: a client cannot have more tokens looked at than the limit', (t) => {
  const { plan, begun, asked } = create();
  const rule = { session: COOKIE };
  const cookie = begun(rule);
  const unknown = cookie.replace(/\..*/, `.${'x'.repeat(16)}`);
  const many = Array.from({ length: LIMITS.sessionTokensMax }, () => unknown).join('; ');
  t.is(where(plan(rule, ['cookie', `${many}; ${cookie}`])), 'v1.default drawn');
  t.is(asked.length, LIMITS.sessionTokensMax);
});

test('A8: the cookie says nothing of a date in a session, and both forms if it is permanent', (t) => {
  const { sessions, plan } = create();
  const cookie = (session: Session) => sessions.begin(plan({ session }, []), 'a', [])[1] as string;
  t.regex(cookie(COOKIE), /^sid=[\w-]{16}\.[\w-]{16}; Path=\/; HttpOnly; SameSite=Strict$/);
  t.regex(
    cookie({ ...COOKIE, absoluteMs: 60_000, path: '/shop' }),
    /^sid=[\w-]{16}\.[\w-]{16}\.[0-9a-z]+; Path=\/shop; HttpOnly; SameSite=Strict$/,
  );
  t.regex(
    cookie({ ...COOKIE, permanent: true, absoluteMs: 300_000 }),
    /; Max-Age=300; Expires=Tue, 14 Nov 2023 22:18:20 GMT$/,
  );
});

test('A8: absoluteTimeout ends a session of either lifetime, for a header too, and then another begins', (t) => {
  for (const kind of [COOKIE, { ...COOKIE, permanent: true }, HEADER] as const) {
    const { sessions, plan, clock } = create();
    const rule = { session: { ...kind, absoluteMs: 300_000 } };
    const told = () => sessions.begin(plan(rule, []), 'a', [])[1] as string;
    const sent = kind.type === 'Cookie' ? ['cookie', told().split(';')[0]!] : ['x-session', told()];
    clock.wallMs += 299_999;
    t.is(where(plan(rule, sent)), 'v1.default a');
    clock.wallMs += 1;
    const over = plan(rule, sent);
    t.is(where(over), 'v1.default drawn');
    t.not(sessions.begin(over, 'a', []).length, 0, 'the same endpoint, but a new session');
  }
});

test('A8: a session that a client has begin in the future does not last for ever', (t) => {
  const { plan, begun, clock } = create();
  const rule = { session: { ...COOKIE, absoluteMs: 300_000 } };
  const cookie = begun(rule);
  const from = (ms: number) => cookie.replace(/\.[^.]*$/, `.${ms.toString(36)}`);
  t.is(where(plan(rule, ['cookie', from(clock.wallMs + LIMITS.identitySkewMs)])), 'v1.default a');
  t.is(where(plan(rule, ['cookie', from(clock.wallMs + LIMITS.identitySkewMs + 1)])), 'v1.default drawn');
  t.is(where(plan(rule, ['cookie', from(36 ** 9 - 1)])), 'v1.default drawn');
  t.is(where(plan(rule, ['cookie', begun({ session: COOKIE })])), 'v1.default drawn', 'no begin, no end');
});

test('A8: a header takes the place of a line of that name that the application sends', (t) => {
  const { sessions, plan } = create();
  const rule = { session: HEADER };
  const fields = sessions.begin(plan(rule, []), 'b', ['x-a', '1', 'x-session', 'mine', 'x-b', '2']);
  t.deepEqual(fields.slice(0, 5), ['x-a', '1', 'x-b', '2', 'x-session']);
  t.is(where(plan(rule, ['x-session', fields[5]!])), 'v1.default b');
});

test('A8: the token is what the client has sent, whatever filters make of it; and it goes on to the application', (t) => {
  const { plan, begun } = create();
  const cookie = begun({ session: COOKIE });
  t.deepEqual(plan({ session: COOKIE }, ['cookie', cookie]).fields, ['cookie', cookie]);
  const filters = [requestHeaders([], [], ['cookie'])];
  const without = plan({ session: COOKIE, filters }, ['cookie', cookie]);
  t.deepEqual([where(without), without.fields], ['v1.default a', []]);
});

test('A8: a token names neither host nor service, and not the same host alike for two services', (t) => {
  const { begun } = create();
  const cookie = begun({ session: COOKIE });
  t.false(/v1|default|routes/.test(Buffer.from(cookie.slice(4), 'base64url').toString('latin1')));
  t.not(endpointTag('v1.default', 'a'), endpointTag('v2.default', 'a'));
});

test('A8: whatever a client sends, its request goes to a backend of the rule', (t) => {
  const { plan, begun, clock } = create();
  const rule = { session: { ...COOKIE, absoluteMs: 1_000 } };
  const good = begun(rule).slice(4);
  const piece = fc.constantFrom(good, ...good.split('.'), 'sid=', ';', '=', '.', ' ', '"', '%00', '\x80');
  const cookie = fc.array(fc.oneof(piece, fc.string()), { maxLength: 8 }).map((all) => `sid=${all.join('')}`);
  fc.assert(
    fc.property(cookie, fc.nat(2_000), (text, laterMs) => {
      clock.wallMs += laterMs;
      const { backend: service, session } = plan(rule, ['cookie', text]);
      return service === 'v1.default' && (session === undefined || session.endpoint.agent === 'a');
    }),
  );
  t.pass();
});
