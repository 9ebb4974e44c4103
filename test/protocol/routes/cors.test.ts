import test from 'ava';
import { fieldValue } from '../../../src/protocol/fields.ts';
import { applyCors, corsAnswer } from '../../../src/protocol/routes/cors.ts';
import { isAllowedOrigin } from '../../../src/protocol/routes/origin.ts';
import { cors } from './routes.ts';

const ORIGIN = ['origin', 'https://shop.example'];
const PREFLIGHT = [...ORIGIN, 'access-control-request-method', 'PUT'];

test('A4: an origin is allowed exactly, by any labels under a domain, or whatever it is', (t) => {
  for (const [origin, pattern, expected] of [
    ['https://shop.example', 'https://shop.example', true],
    ['http://shop.example', 'https://shop.example', false],
    ['https://shop.example:443', 'https://shop.example', true],
    ['http://shop.example', 'http://shop.example:80', true],
    ['https://shop.example:8443', 'https://shop.example', false],
    ['https://SHOP.example', 'https://shop.example', true],
    ['https://a.shop.example', 'https://*.shop.example', true],
    ['https://a.b.shop.example', 'https://*.shop.example', true],
    ['https://shop.example', 'https://*.shop.example', false],
    ['https://evilshop.example', 'https://*.shop.example', false],
    ['https://.shop.example', 'https://*.shop.example', false],
    ['https://evil.example/.shop.example', 'https://*.shop.example', false],
    ['https://a.shop.example:444', 'https://*.shop.example', false],
    ['http://a.example', 'http://*.com', false],
    ['http://a.com', 'http://*', true],
    ['https://a.com', 'http://*', false],
    ['null', '*', true],
    ['null', 'https://*', false],
  ] as const) {
    t.is(isAllowedOrigin(origin, [pattern]), expected, `${origin} by ${pattern}`);
  }
});

test('A4: a preflight is OPTIONS with Origin and Access-Control-Request-Method, and nothing else is', (t) => {
  t.is(corsAnswer(cors(), PREFLIGHT, 'OPTIONS').preflight?.status, 204);
  t.is(corsAnswer(cors(), PREFLIGHT, 'GET').preflight, undefined);
  t.is(corsAnswer(cors(), ORIGIN, 'OPTIONS').preflight, undefined);
  t.is(corsAnswer(cors(), PREFLIGHT.slice(2), 'OPTIONS').preflight, undefined);
});

test('A4: a preflight is told the lists as configured, what is exposed, and the age', (t) => {
  const config = cors({
    methods: ['GET', 'PUT'],
    headers: ['x-a', 'x-b'],
    expose: ['x-c'],
    maxAgeSeconds: 60,
  });
  t.deepEqual(corsAnswer(config, PREFLIGHT, 'OPTIONS').preflight?.fields, [
    ...['vary', 'Origin'],
    ...['access-control-allow-origin', 'https://shop.example'],
    ...['access-control-expose-headers', 'x-c'],
    ...['access-control-allow-methods', 'GET, PUT'],
    ...['access-control-allow-headers', 'x-a, x-b'],
    ...['access-control-max-age', '60'],
  ]);
});

test('A4: a preflight of an unknown origin is answered without CORS headers', (t) => {
  const fields = ['origin', 'https://evil.example', 'access-control-request-method', 'PUT'];
  const { preflight } = corsAnswer(cors({ methods: ['PUT'] }), fields, 'OPTIONS');
  t.deepEqual(preflight, { status: 204, fields: ['vary', 'Origin'] });
});

test('A4: without credentials * is said where it is configured, and no credentials header', (t) => {
  const config = cors({ origins: ['*'], methods: ['*'], headers: ['*'], expose: ['*'] });
  const fields = corsAnswer(config, PREFLIGHT, 'OPTIONS').preflight?.fields ?? [];
  for (const name of ['allow-origin', 'allow-methods', 'allow-headers', 'expose-headers']) {
    t.is(fieldValue(fields, `access-control-${name}`), '*', name);
  }
  t.is(fieldValue(fields, 'access-control-allow-credentials'), undefined);
});

test('A4: with credentials * is never sent: what was asked for is echoed, or left out if nothing was', (t) => {
  const config = cors({ origins: ['*'], methods: ['*'], headers: ['*'], expose: ['*'], credentials: true });
  const asked = [...PREFLIGHT, 'access-control-request-headers', 'x-a,x-b'];
  const fields = corsAnswer(config, asked, 'OPTIONS').preflight?.fields ?? [];
  t.false(fields.includes('*'));
  t.is(fieldValue(fields, 'access-control-allow-origin'), 'https://shop.example');
  t.is(fieldValue(fields, 'access-control-allow-methods'), 'PUT');
  t.is(fieldValue(fields, 'access-control-allow-headers'), 'x-a,x-b');
  t.is(fieldValue(fields, 'access-control-allow-credentials'), 'true');
  t.is(fieldValue(fields, 'access-control-expose-headers'), undefined);
  t.is(
    fieldValue(corsAnswer(config, PREFLIGHT, 'OPTIONS').fields, 'access-control-allow-headers'),
    undefined,
  );
});

test('A4: a response is told its origin and what is exposed, in place of what the application says', (t) => {
  const said = corsAnswer(cors({ expose: ['x-c'], credentials: true }), ORIGIN, 'GET').fields;
  const response = ['access-control-allow-origin', '*', 'a', 'b'];
  t.deepEqual(applyCors(response, said), [
    ...['a', 'b', 'vary', 'Origin', 'access-control-allow-origin', 'https://shop.example'],
    ...['access-control-allow-credentials', 'true', 'access-control-expose-headers', 'x-c'],
  ]);
});

test('A4: a response to an unknown origin has no CORS headers', (t) => {
  const said = corsAnswer(cors(), ['origin', 'https://evil.example'], 'GET').fields;
  t.deepEqual(applyCors(['access-control-allow-origin', '*', 'a', 'b'], said), ['a', 'b', 'vary', 'Origin']);
});

test('a response that varies by origin already says so once', (t) => {
  for (const value of ['Accept, origin', '*', 'Origin']) {
    t.deepEqual(applyCors(['vary', value], ['vary', 'Origin']), ['vary', value]);
  }
  t.deepEqual(applyCors(['vary', 'x-origin'], ['vary', 'Origin']), ['vary', 'x-origin', 'vary', 'Origin']);
});
