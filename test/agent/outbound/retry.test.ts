import test from 'ava';
import fc from 'fast-check';
import {
  backoffMs,
  isConnectionError,
  RetryBudget,
  routeRetries,
  worthRetrying,
} from '../../../src/agent/outbound/retry.ts';
import { ERRORS, type ErrorCode } from '../../../src/protocol/errors.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';

const IDLE_ALLOWANCE = (LIMITS.retryPerSecond * LIMITS.retryWindowMs) / 1000;

function takeAll(budget: RetryBudget): number {
  let taken = 0;
  while (taken < 100_000 && budget.retry()) taken += 1;
  return taken;
}

test('without traffic the budget is the allowance per second', (t) => {
  t.is(takeAll(new RetryBudget(() => 0)), IDLE_ALLOWANCE);
});

test('a share of the requests of the window comes on top', (t) => {
  const budget = new RetryBudget(() => 5_000);
  for (let count = 0; count < 1_000; count++) budget.request();
  t.is(takeAll(budget), IDLE_ALLOWANCE + 1_000 * LIMITS.retryRatio);
});

test('what left the window counts no more, neither requests nor retries', (t) => {
  let nowMs = 0;
  const budget = new RetryBudget(() => nowMs);
  for (let count = 0; count < 1_000; count++) budget.request();
  takeAll(budget);
  t.false(budget.retry());
  nowMs = LIMITS.retryWindowMs - 1;
  t.false(budget.retry());
  nowMs = LIMITS.retryWindowMs;
  t.is(takeAll(budget), IDLE_ALLOWANCE);
});

test('whatever happens when, no retry is granted beyond the allowance and the share of its window', (t) => {
  const step = fc.record({ waitMs: fc.nat(3_000), requests: fc.nat(50), retries: fc.nat(80) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let nowMs = 0;
      const budget = new RetryBudget(() => nowMs);
      const log: { atMs: number; requests: number; retries: number }[] = [];
      for (const { waitMs, requests, retries } of steps) {
        nowMs += waitMs;
        for (let count = 0; count < requests; count++) budget.request();
        let granted = 0;
        for (let count = 0; count < retries; count++) granted += budget.retry() ? 1 : 0;
        log.push({ atMs: nowMs, requests, retries: granted });
        // Requests may leave the window before the retries that they allowed: what counts is the time of granting.
        if (granted === 0) continue;
        // The window is of whole seconds.
        const firstSecond = Math.floor(nowMs / 1000) - LIMITS.retryWindowMs / 1000 + 1;
        const within = log.filter(({ atMs }) => Math.floor(atMs / 1000) >= firstSecond);
        const sum = (of: 'requests' | 'retries') => within.reduce((total, one) => total + one[of], 0);
        t.true(sum('retries') <= IDLE_ALLOWANCE + sum('requests') * LIMITS.retryRatio);
      }
    }),
  );
});

test('only what no application can have seen is worth a retry', (t) => {
  const worth = (Object.keys(ERRORS) as ErrorCode[]).filter(worthRetrying);
  t.deepEqual(worth.sort(), [
    'evidence_missing',
    'identity_invalid',
    'no_endpoint',
    'not_serving',
    'overloaded',
    'policy_unknown',
    'upstream_connect_timeout',
    'upstream_refused',
  ]);
});

test('A7.2 A7.5: a route repeats after connection errors what may be repeated, and with codes whatever there is', (t) => {
  const bare = { codes: [], attempts: 1, backoffMs: 0 };
  const coded = { ...bare, codes: [503] };
  const key = ['idempotency-key', '1'];
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const after = isConnectionError(code);
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
      t.is(routeRetries(bare, code, method, []), after, `${method} after ${code}`);
    }
    for (const method of ['POST', 'PATCH']) {
      t.false(routeRetries(bare, code, method, []), `${method} after ${code}`);
      t.is(routeRetries(bare, code, method, key), after, `${method} with a key after ${code}`);
      t.is(routeRetries(coded, code, method, []), after, `${method} with codes after ${code}`);
    }
  }
});

test('A7.2: disconnects, resets, timeouts and refused connections are connection errors, and refusals are not', (t) => {
  for (const code of [
    'upstream_closed',
    'upstream_refused',
    'upstream_connect_timeout',
    'deadline',
    'agent_lost',
  ] as const) {
    t.true(isConnectionError(code), code);
  }
  for (const code of ['denied', 'invalid_backend', 'upstream_protocol', 'cancelled', 'bus_down'] as const) {
    t.false(isConnectionError(code), code);
  }
});

test('the wait before a retry is spread over all of its time, and has a cap', (t) => {
  t.is(
    backoffMs(0, () => 0),
    0,
  );
  fc.assert(
    fc.property(fc.nat(60), fc.double({ min: 0, max: 1, noNaN: true }), (retry, random) => {
      const ms = backoffMs(retry, () => random);
      t.true(ms >= 0 && ms <= LIMITS.backoffCapMs && ms <= LIMITS.backoffBaseMs * 2 ** retry);
    }),
  );
});
