/** What is told of decisions: to the log, and to who counts. */
import test from 'ava';
import { pino } from 'pino';
import { createAuthorization } from '../../src/agent/authorization.ts';
import { DecisionSeries } from '../../src/agent/decision-series.ts';
import type { Decision } from '../../src/protocol/authorization/decision.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { TestClock } from '../kit/time.ts';
import { policy, request, snapshotOf } from '../protocol/authorization/policies.ts';

const SERVICE = 'orders.default';

function told(...policies: string[]) {
  const lines: Record<string, unknown>[] = [];
  const counted: string[] = [];
  const clock = new TestClock();
  const authorization = createAuthorization({
    mesh: 'shop',
    defaultAction: 'allow',
    log: pino(
      { base: null, timestamp: false },
      { write: (line: string) => void lines.push(JSON.parse(line)) },
    ),
    now: clock.now,
    counted: (side, { action, policy: by, rule }) => void counted.push(`${side} ${action} ${by} ${rule}`),
  });
  return { authorization, snapshot: snapshotOf(policies), lines, counted, clock };
}

test('a denial is logged with who, what, and by which policy, rule and revision; the query is not', (t) => {
  const { authorization, snapshot, lines, counted } = told(policy('p', 'DENY', [{ name: 'r' }]));
  const asked = request('GET /x?token=1');
  t.throws(() => authorization.authorize(SERVICE, snapshot, asked), {
    message: 'policy does not let this caller do that',
  });
  t.like(lines[0], {
    level: 40,
    msg: 'request denied',
    side: 'inbound',
    action: 'DENY',
    service: SERVICE,
    policy: 'default/p',
    rule: 'r',
    revision: 7,
    caller: 'checkout.default',
    method: 'GET',
    path: '/x',
  });
  t.deepEqual(counted, ['inbound DENY default/p r']);
  t.throws(() => authorization.refuseEarly(SERVICE, snapshot, asked));
  t.is(lines[1]?.side, 'outbound');
});

test('an AUDIT is logged and counted beside the decision, once, where the service runs', (t) => {
  const { authorization, snapshot, lines, counted } = told(policy('p', 'AUDIT', [{}]));
  authorization.refuseEarly(SERVICE, snapshot, request('GET /x'));
  t.is(authorization.authorize(SERVICE, snapshot, request('GET /x')), '/x');
  t.like(lines[0], { level: 30, msg: 'request audited', action: 'AUDIT', policy: 'default/p' });
  t.deepEqual(counted, ['inbound AUDIT default/p 0', 'inbound ALLOW mesh default-allow']);
  t.is(lines.length, 1);
});

test('nothing is refused early by what is not known here', (t) => {
  const { authorization } = told();
  t.notThrows(() => authorization.refuseEarly(SERVICE, undefined, request('GET /x', {}, null)));
  t.throws(() => authorization.authorize(SERVICE, undefined, request('GET /x', {}, null)), {
    message: /no identity/,
  });
});

test('a flood of denials is summed up', (t) => {
  const { authorization, snapshot, lines, counted, clock } = told(policy('p', 'DENY', [{}]));
  const most = LIMITS.decisionsLoggedPerSecond;
  const deny = () => t.throws(() => authorization.authorize(SERVICE, snapshot, request('GET /x')));
  for (let at = 0; at < most + 5; at++) deny();
  t.is(lines.length, most);
  t.is(counted.length, most + 5);
  clock.nowMs += 1_000;
  deny();
  t.like(lines[most], { suppressed: 5 });
});

test('counts are kept for so many rules and no more, and equal decisions of two snapshots are one', (t) => {
  const series = new DecisionSeries();
  const decision = (revision: number): Decision => ({
    action: 'DENY',
    service: SERVICE,
    policy: 'a/b',
    rule: '0',
    revision,
  });
  series.add('inbound', decision(1));
  series.add('inbound', decision(1));
  series.add('outbound', decision(1));
  t.deepEqual(
    [...series.counts()].map(({ side, requests }) => [side, requests]),
    [
      ['inbound', 2],
      ['outbound', 1],
    ],
  );
  for (let revision = 2; revision <= LIMITS.decisionSeriesMax + 10; revision++)
    series.add('inbound', decision(revision));
  t.is([...series.counts()].length, LIMITS.decisionSeriesMax);
  const last = decision(LIMITS.decisionSeriesMax + 10);
  series.add('inbound', last);
  t.is([...series.counts()].at(-1)?.requests, 2);
});
