import test from 'ava';
import fc from 'fast-check';
import { Tracer } from '../../src/protocol/trace.ts';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const NEW = /^00-([0-9a-f]{32})-[0-9a-f]{16}-00$/;

test('a valid trace goes on byte for byte, with its state and baggage', (t) => {
  const tracer = new Tracer();
  for (const parent of [
    PARENT,
    PARENT.replace('-01', '-ff'),
    `cc${PARENT.slice(2)}`,
    `cc${PARENT.slice(2)}-more.x`,
  ]) {
    const fields = [
      'host',
      'orders',
      'traceparent',
      parent,
      'tracestate',
      'a=1',
      'tracestate',
      'b=2',
      'baggage',
      'k=v',
    ];
    const before = [...fields];
    t.is(tracer.continue(fields), '0af7651916cd43dd8448eb211c80319c');
    t.deepEqual(fields, before);
  }
});

test('a request without a trace gets one, not sampled', (t) => {
  const fields = ['host', 'orders', 'baggage', 'k=v'];
  const traceId = new Tracer().continue(fields);
  t.deepEqual(fields.slice(0, 5), ['host', 'orders', 'baggage', 'k=v', 'traceparent']);
  t.is(NEW.exec(fields[5]!)?.[1], traceId);
  t.is(fields.length, 6);
});

test('an invalid trace is replaced, and its state with it', (t) => {
  const tracer = new Tracer();
  for (const parent of [
    '',
    'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
    PARENT.toUpperCase(),
    `${PARENT}-more`,
    `${PARENT} `,
    `cc${PARENT.slice(2)}more`,
    PARENT.slice(0, -1),
    `${PARENT}\n`,
  ]) {
    const fields = ['tracestate', 'a=1', 'traceparent', parent, 'host', 'orders', 'tracestate', 'b=2'];
    const traceId = tracer.continue(fields);
    t.deepEqual(fields.slice(0, 3), ['host', 'orders', 'traceparent'], parent);
    t.is(NEW.exec(fields[3]!)?.[1], traceId, parent);
    t.is(fields.length, 4);
  }
});

test('two traces at once are none', (t) => {
  const fields = ['traceparent', PARENT, 'traceparent', PARENT];
  const traceId = new Tracer().continue(fields);
  t.is(fields.length, 2);
  t.is(NEW.exec(fields[1]!)?.[1], traceId);
});

test('new traces differ, also past one fill of random bytes', (t) => {
  const tracer = new Tracer();
  const ids = new Set(Array.from({ length: 1000 }, () => tracer.continue([])));
  t.is(ids.size, 1000);
});

test('ids are never zeros, whatever the randomness', (t) => {
  const tracer = new Tracer((pool) => pool.fill(0));
  const fields: string[] = [];
  t.is(tracer.continue(fields), `${'0'.repeat(31)}1`);
  t.is(fields[1], `00-${'0'.repeat(31)}1-${'0'.repeat(15)}1-00`);
});

test('what a tracer has started or continued, the next continues', (t) => {
  const tracer = new Tracer();
  fc.assert(
    fc.property(fc.string(), fc.boolean(), (text, given) => {
      const fields = given ? ['traceparent', text] : [];
      const traceId = tracer.continue(fields);
      const first = [...fields];
      t.is(tracer.continue(fields), traceId);
      t.deepEqual(fields, first);
    }),
  );
});
