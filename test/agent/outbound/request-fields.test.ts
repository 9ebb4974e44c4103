import test from 'ava';
import fc from 'fast-check';
import { parseRequestHead } from '../../../src/agent/http1/head.ts';
import { requestFields } from '../../../src/agent/outbound/request-fields.ts';
import type { Fields } from '../../../src/protocol/fields.ts';

const PASSAGE = '1.1 weft-front (orders.default)';
const fieldsOf = (lines: string, remote: string | undefined = '127.0.0.1') =>
  requestFields(parseRequestHead(`GET / HTTP/1.1\r\nhost: orders:80\r\n${lines}\r\n`), remote, PASSAGE);
const values = (fields: Fields, name: string) =>
  fields.filter((_, at) => at % 2 === 1 && fields[at - 1] === name);

test('a request is told where it came from and how', (t) => {
  t.deepEqual(fieldsOf(''), [
    'host',
    'orders:80',
    'x-forwarded-for',
    '127.0.0.1',
    'x-forwarded-proto',
    'http',
    'x-forwarded-host',
    'orders:80',
    'via',
    PASSAGE,
  ]);
});

test('what proxies before have said is kept, in one line each, and ours comes last', (t) => {
  const fields = fieldsOf(
    'x-forwarded-for: 10.0.0.1\r\nx-forwarded-for: 10.0.0.2\r\nx-forwarded-proto: https\r\n' +
      'x-forwarded-host: shop.example\r\nvia: 1.0 fred\r\nvia: 1.1 p.example\r\n',
  );
  t.deepEqual(values(fields, 'x-forwarded-for'), ['10.0.0.1, 10.0.0.2, 127.0.0.1']);
  t.deepEqual(values(fields, 'x-forwarded-proto'), ['https']);
  t.deepEqual(values(fields, 'x-forwarded-host'), ['shop.example']);
  t.deepEqual(values(fields, 'via'), [`1.0 fred, 1.1 p.example, ${PASSAGE}`]);
});

test('over a Unix socket the address is unknown', (t) => {
  const head = parseRequestHead('GET / HTTP/1.1\r\nhost: orders\r\n\r\n');
  t.deepEqual(values(requestFields(head, undefined, PASSAGE), 'x-forwarded-for'), ['unknown']);
});

test('only the mesh may say who calls: whatever looks like it is taken out', (t) => {
  const fields = fieldsOf(
    'weft-caller: spiffe://x\r\nWEFT-Any: 1\r\nx-forwarded-client-cert: By=x\r\nweftish: 1\r\n',
  );
  t.deepEqual(
    fields.filter((name, at) => at % 2 === 0 && /^weft|client-cert/.test(name)),
    ['weftish'],
  );
});

test('a name that an application could take for one of the mesh is taken out, whatever separates its words', (t) => {
  const separator = fc.constantFrom('_', '.', '~', '!', "'");
  const words = fc.constantFrom(
    ['weft', 'caller'],
    ['x', 'forwarded', 'for'],
    ['x', 'forwarded', 'proto'],
    ['x', 'forwarded', 'host'],
    ['x', 'forwarded', 'client', 'cert'],
  );
  fc.assert(
    fc.property(words, separator, (name, between) => {
      t.deepEqual(fieldsOf(`${name.join(between)}: forged\r\n`), fieldsOf(''));
    }),
  );
});

test('a request that has gone the same way before is refused', (t) => {
  t.throws(() => fieldsOf(`via: 1.1 a, ${PASSAGE}\r\n`), { message: /has passed/ });
  t.notThrows(() => fieldsOf('via: 1.1 weft-front (payments.default)\r\n'));
});

test('all other lines keep their order, repetition and bytes', (t) => {
  const name = fc.constantFrom('accept', 'x-a', 'x-b', 'cookie', 'weight', 'vary', 'x-forwarded');
  const value = fc.stringMatching(/^[!-~\xa1-\xff]{1,12}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 30 }), (lines) => {
      const fields = fieldsOf(lines.map(([one, two]) => `${one}: ${two}\r\n`).join(''));
      t.deepEqual(fields.slice(2, 2 + lines.length * 2), lines.flat());
    }),
  );
});
