import test from 'ava';
import type { Fields } from '../../../src/protocol/fields.ts';
import { authFields, authTarget, grantedFields } from '../../../src/protocol/routes/external-auth.ts';
import { type Plan, planRequest } from '../../../src/protocol/routes/plan.ts';
import { createRouteTable } from '../../../src/protocol/routes/route-table.ts';
import type { ExternalAuth, Filter } from '../../../src/protocol/snapshot.ts';
import { backend, cors, oneRule, requestHeaders, responseHeaders } from './routes.ts';

const auth = (rest: Partial<ExternalAuth> = {}): ExternalAuth => ({
  service: 'auth.default',
  path: '',
  requestHeaders: [],
  responseHeaders: [],
  bodyBytesMax: 0,
  ...rest,
});
const filter = (rest: Partial<ExternalAuth> = {}): Filter => ({ type: 'ExternalAuth', auth: auth(rest) });

function planned(filters: Filter[], fields: Fields = [], method = 'GET'): Plan {
  const request = { method, target: '/x?q=1', hostname: 'orders', port: 80, fields };
  const plan = planRequest(createRouteTable(oneRule({ filters })), request, () => 0);
  if (plan === undefined) throw new Error('it is not routed');
  return plan;
}

test('A4: the filter’s path stands before that of the request, whose query stays', (t) => {
  t.is(authTarget(auth(), '/x?q=1'), '/x?q=1');
  t.is(authTarget(auth({ path: '/check' }), '/x?q=1'), '/check/x?q=1');
  t.is(authTarget(auth({ path: '/check' }), '/'), '/check/');
  t.is(authTarget(auth({ path: '/check' }), '*'), '/check');
  t.is(authTarget(auth(), '*'), '*');
});

test('A4: the question has Host, Authorization, what the filter names, and its own length', (t) => {
  const fields = ['host', 'orders', 'authorization', 'Bearer x', 'cookie', 'a=1', 'x-a', '1', 'x-a', '2'];
  t.deepEqual(authFields(auth(), fields, 0), [
    ...['host', 'orders', 'authorization', 'Bearer x', 'content-length', '0'],
  ]);
  t.deepEqual(authFields(auth({ requestHeaders: ['x-a', 'cookie'] }), fields, 7), [
    ...fields,
    'content-length',
    '7',
  ]);
});

test('A4: no filter has a line sent that frames the question or says who asks', (t) => {
  const names = [
    'content-length',
    'transfer-encoding',
    'connection',
    'upgrade',
    'expect',
    'te',
    'weft-caller',
    'via',
  ];
  const fields = names.flatMap((name) => [name, '1']);
  t.deepEqual(authFields(auth({ requestHeaders: names }), fields, 0), ['content-length', '0']);
});

test('A4: a request takes along what the filter lets through of the consent, in place of its own', (t) => {
  const fields = [
    'host',
    'orders',
    'x-user',
    'forged',
    'content-type',
    'application/json',
    'content-length',
    '2',
  ];
  const consent = [
    'x-user',
    'ann',
    'x-role',
    'a',
    'x-role',
    'b',
    'content-type',
    'text/plain',
    'host',
    'evil',
  ];
  const more = ['content-length', '9', 'weft-caller', 'root', 'connection', 'close', 'date', 'now'];
  t.deepEqual(
    grantedFields(auth({ responseHeaders: ['x-user', 'host', 'content-length'] }), fields, [
      ...consent,
      ...more,
    ]),
    [...['host', 'orders', 'content-type', 'application/json', 'content-length', '2', 'x-user', 'ann']],
  );
  t.deepEqual(grantedFields(auth(), fields, [...consent, ...more]), [
    ...['host', 'orders', 'content-type', 'application/json', 'content-length', '2'],
    ...['x-user', 'ann', 'x-role', 'a', 'x-role', 'b', 'date', 'now'],
  ]);
});

test('A4: it is asked in its place among the filters, about the request as the client sent it', (t) => {
  const asked = planned([
    requestHeaders([['x-first', '1']]),
    filter({ path: '/check' }),
    requestHeaders([['x-user', 'later']]),
  ]);
  if (asked.auth === undefined) throw new Error('nobody is asked');
  t.is(asked.target, '/check/x?q=1');
  const next = asked.granted(['x-user', 'ann', 'x-first', '2']);
  if (next.answer !== undefined || next.auth !== undefined) throw new Error('it is not forwarded');
  t.deepEqual(next.fields, ['x-user', 'later', 'x-first', '2']);
});

test('A4: what answers before it in the list needs no consent, what comes after it does, and a preflight none', (t) => {
  const redirect: Filter = { type: 'RequestRedirect', redirect: { hostname: 'a.example', status: 302 } };
  t.is(planned([redirect, filter()]).answer?.status, 302);
  const asked = planned([filter(), redirect]);
  t.is(asked.answer, undefined);
  t.is(asked.auth?.service, 'auth.default');
  t.is(asked.auth === undefined ? undefined : asked.granted([]).answer?.status, 302);
  const preflight = ['origin', 'https://shop.example', 'access-control-request-method', 'PUT'];
  t.is(planned([filter(), { type: 'CORS', cors: cors() }], preflight, 'OPTIONS').answer?.status, 204);
});

test('A4: that of a backend is asked when it is drawn', (t) => {
  const set = oneRule({
    backends: [backend('v1.default', { filters: [filter(), responseHeaders([['x', 'y']])] })],
  });
  const request = { method: 'GET', target: '/', hostname: 'orders', port: 80, fields: [] };
  const asked = planRequest(createRouteTable(set), request, () => 0);
  t.is(asked?.auth?.service, 'auth.default');
  const next = asked?.auth === undefined ? undefined : asked.granted([]);
  t.like(next, { backend: 'v1.default', modifiers: [{ set: [['x', 'y']] }] });
});

test('A4: one that leads nowhere refuses every request', (t) => {
  t.throws(() => planned([filter({ invalid: 'BackendNotFound' })]), { code: 'invalid_backend' });
});
