import test from 'ava';
import { decodeResponseHead, encodeResponseHead } from '../../../src/protocol/head.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';
import type { ForwardPlan } from '../../../src/protocol/routes/plan.ts';
import { responseFields } from '../../../src/protocol/routes/response-fields.ts';
import type { HeaderModifier } from '../../../src/protocol/snapshot.ts';
import { backend, rule } from './routes.ts';

function plan(rest: Partial<ForwardPlan>): ForwardPlan {
  return {
    answer: undefined,
    rule: rule(),
    backend: 'orders.default',
    backendRef: backend('orders.default'),
    session: undefined,
    target: '/',
    fields: [],
    modifiers: [],
    cors: undefined,
    mirrors: [],
    ...rest,
  };
}

const setting = (...set: HeaderModifier['set']): HeaderModifier => ({ set, add: [], remove: [] });
const lines = (count: number) => Array.from({ length: count }, (_, at) => [`x-${at}`, '1'] as const);

test('A4.3: response headers are changed from the backend outwards, then CORS is said', (t) => {
  const modifiers = [setting(['a', 'inner']), setting(['a', 'outer'], ['access-control-allow-origin', '*'])];
  const cors = ['access-control-allow-origin', 'https://shop.example'];
  t.deepEqual(responseFields(plan({ modifiers, cors }), ['a', '1', 'b', '2']), [
    ...['a', 'outer', 'b', '2'],
    ...cors,
  ]);
});

test('what a route does not change is passed on as it is', (t) => {
  const fields = lines(500).flat();
  t.is(responseFields(plan({}), fields), fields);
});

test('A4.3: a route cannot make a response head larger than any may be', (t) => {
  const fields = lines(LIMITS.headerLinesMax).flat();
  const most = plan({ modifiers: [setting(...lines(116).map(([name]) => [`y${name}`, '1'] as const))] });
  const passed = responseFields(most, []);
  t.notThrows(() => decodeResponseHead(encodeResponseHead({ status: 200, reason: 'OK', fields: passed })));
  for (const one of [most, plan({ modifiers: [setting(['y', 'v'.repeat(80_000)])] })]) {
    const error = t.throws(() => responseFields(one, fields));
    t.like(error, { code: 'response_head_too_large' });
    t.regex(error?.message ?? '', /^default\/routes rule 0: with what the route adds, the head /);
  }
});
