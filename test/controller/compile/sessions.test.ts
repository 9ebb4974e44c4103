import test from 'ava';
import { checkReferences } from '../../../src/controller/resources/references.ts';
import { type Resource, resourceKey } from '../../../src/controller/resources/resource.ts';
import { fieldName } from '../../../src/protocol/config-fault.ts';
import { readSnapshot } from '../../../src/protocol/read-snapshot.ts';
import { route, ruleRoute, rules, said, toService } from '../resources/routes.ts';
import { compile, firstRule } from './compile.ts';

const sessionOf = (sessionPersistence: object) => firstRule(rules({ sessionPersistence })).session;
const named = (name: string, more: object = {}) => ({ sessionPersistence: { cookie: { name, ...more } } });
const header = (name: string) => ({ sessionPersistence: { type: 'Header' as const, header: { name } } });

function faults(changed: Resource[], stored: Resource[] = []): string[] {
  const all = new Map(stored.map((resource) => [resourceKey(resource), resource]));
  return checkReferences(changed, all, new Set(['orders.default', 'users.default'])).faults.map(
    ({ resource, path, found, expected }) =>
      `${resource.metadata.name} ${fieldName(path)}: found ${found}, expected ${expected}`,
  );
}

test('A8: a rule without sessionPersistence keeps no sessions', (t) => {
  t.false('session' in firstRule(rules({})));
});

test('A8: the type is Cookie, its path /, its lifetime that of the client', (t) => {
  t.deepEqual(sessionOf({ cookie: { name: 'sid' } }), {
    type: 'Cookie',
    name: 'sid',
    path: '/',
    permanent: false,
  });
  t.like(sessionOf({ type: 'Cookie', cookie: { name: 'sid', path: '' } }), { path: '/' });
});

test('A8: lifetime, path and absoluteTimeout of a cookie are taken over, and no limit is none', (t) => {
  const cookie = { name: 'sid', path: '/shop', lifetimeType: 'Permanent' };
  t.deepEqual(sessionOf({ absoluteTimeout: '1h30m', cookie }), {
    type: 'Cookie',
    name: 'sid',
    path: '/shop',
    permanent: true,
    absoluteMs: 5_400_000,
  });
  t.false('absoluteMs' in sessionOf({ absoluteTimeout: '0s', cookie: {} })!);
});

test('A8: a header has the name that it has, in lower case, and may end too', (t) => {
  t.deepEqual(sessionOf({ type: 'Header', header: { name: 'X-Session' }, absoluteTimeout: '1s' }), {
    type: 'Header',
    name: 'x-session',
    absoluteMs: 1_000,
  });
});

test('A8: a cookie without a name gets one of its rule alone, which stays', (t) => {
  const sessionPersistence = {};
  const compiled = compile([
    rules(
      { sessionPersistence },
      { sessionPersistence, name: 'named' },
      { sessionPersistence: { sessionName: 'mine' } },
    ),
    route({ rules: [{ sessionPersistence }] }, { name: 'other' }),
  ]).producer.rules.map(({ session }) => session?.name ?? '');
  t.is(new Set(compiled).size, 4);
  for (const name of compiled) t.regex(name, /^weft-session-[0-9a-f]{12}$|^mine$/);
  const moved = firstRule(rules({ sessionPersistence, name: 'named' })).session?.name;
  t.true(compiled.includes(moved as string));
});

test('A8: what is compiled is what agents take', (t) => {
  const all = [{}, { cookie: { lifetimeType: 'Permanent' }, absoluteTimeout: '99999h99999h99999h99999h' }];
  for (const sessionPersistence of [...all, { type: 'Header', header: { name: 'X-S' } }]) {
    const snapshot = compile([rules({ sessionPersistence } as object)]);
    t.not(readSnapshot('shop', JSON.parse(JSON.stringify(snapshot))), undefined);
  }
});

test('A8: two rules of one parent with one cookie, or one header, are refused', (t) => {
  const fault = (name: string) =>
    `route spec.rules[1].sessionPersistence: found ${name}, expected a name that rule 0 of default/route, with the same parent, does not have already`;
  t.deepEqual(faults([rules(named('sid'), named('sid'))]), [fault('sid')]);
  t.deepEqual(faults([rules(header('X-S'), header('x-s'))]), [fault('x-s')]);
  t.deepEqual(
    faults([rules(named('sid'), named('SID'), header('sid'), named('sid', { path: '/a' }), {}, {})]),
    [],
  );
  t.deepEqual(faults([rules({ sessionPersistence: {} }, { sessionPersistence: {} })]), []);
});

test('A8: so are two rules of two routes, stored or in one apply, unless their callers are never the same', (t) => {
  const other = (namespace: string, parent = 'orders') =>
    route(
      { parentRefs: [toService(parent, { namespace: 'default', port: 80 })], rules: [{}, named('sid')] },
      { name: 'other', namespace },
    );
  const one = rules(named('sid'));
  t.deepEqual(faults([other('default')], [one]), [
    'other spec.rules[1].sessionPersistence: found sid, expected a name that rule 0 of default/route, with the same parent, does not have already',
  ]);
  t.is(faults([one, other('default')]).length, 2);
  t.deepEqual(faults([one], [one]), []);
  t.deepEqual(faults([other('shop')], [one]), []);
  t.deepEqual(faults([other('default', 'users')], [one]), []);
  t.deepEqual(faults([rules({})], [one, other('default')]), [], 'what is stored already stops nothing else');
});

test('A8: a header that no route may set, and a permanent cookie without an end, are refused', (t) => {
  for (const name of ['Connection', 'content-length', 'Weft-Caller', 'Host']) {
    t.deepEqual(faults([rules(header(name))]), [
      `route spec.rules[0].sessionPersistence.header.name: found ${name}, expected a header that a route may set`,
    ]);
  }
  const permanent = { absoluteTimeout: '0s', cookie: { lifetimeType: 'Permanent' as const } };
  t.deepEqual(faults([rules({ sessionPersistence: permanent })]), [
    'route spec.rules[0].sessionPersistence.absoluteTimeout: found 0s, expected more than 0s, as the cookie is permanent',
  ]);
});

test('A8: what would add to the cookie is rejected', (t) => {
  for (const cookie of [{ path: '/; Domain=x' }, { path: 'shop' }, { path: '/a b' }, { path: '/a\r\n' }]) {
    t.regex(said(ruleRoute({ sessionPersistence: { cookie } }))[0] ?? '', /cookie\.path/);
  }
  t.regex(said(ruleRoute({ sessionPersistence: { sessionName: 'a;b' } }))[0] ?? '', /sessionName/);
  t.deepEqual(said(ruleRoute({ sessionPersistence: { sessionName: '', cookie: { path: '/a/%20,b' } } })), []);
});
