import test from 'ava';
import { pino } from 'pino';
import { createFailureLog } from '../../src/agent/failure-log.ts';
import { type ErrorCode, WeftError } from '../../src/protocol/errors.ts';
import { LIMITS } from '../../src/protocol/limits.ts';

function create() {
  const lines: Record<string, unknown>[] = [];
  const clock = { nowMs: 0 };
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const failed = createFailureLog(log, () => clock.nowMs);
  const fail = (code: ErrorCode, cause?: Error) =>
    failed({
      side: 'outbound',
      error: new WeftError(code, 'what happened', { cause }),
      caller: 'checkout.default',
      service: 'orders.default',
      method: 'GET',
      path: '/x',
      traceId: 'abc',
      endpoint: 'back',
      tries: 2,
    });
  return { lines, clock, fail };
}

test('a failed request is logged with what an operator asks first', (t) => {
  const { lines, fail } = create();
  fail('upstream_refused');
  t.like(lines[0], {
    level: 40,
    msg: 'request failed',
    code: 'upstream_refused',
    fault: 'upstream',
    details: 'what happened',
    caller: 'checkout.default',
    service: 'orders.default',
    endpoint: 'back',
    traceId: 'abc',
    tries: 2,
  });
});

test('a fault of our own is an error, with what caused it', (t) => {
  const { lines, fail } = create();
  fail('internal', new TypeError('undefined is not a function'));
  t.like(lines[0], { level: 50, err: { type: 'TypeError', message: 'undefined is not a function' } });
});

test('a flood is summed up', (t) => {
  const { lines, clock, fail } = create();
  for (let count = 0; count < LIMITS.failuresLoggedPerSecond + 30; count++) fail('no_endpoint');
  t.is(lines.length, LIMITS.failuresLoggedPerSecond);
  clock.nowMs = 1_000;
  fail('no_endpoint');
  t.like(lines.at(-2), { msg: 'more requests failed than were logged', suppressed: 30 });
  t.like(lines.at(-1), { msg: 'request failed' });
});
