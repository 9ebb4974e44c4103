import test from 'ava';
import fc from 'fast-check';
import { failureOf } from '../../../src/agent/outbound/failure.ts';
import { ERRORS, type ErrorCode, WeftError } from '../../../src/protocol/errors.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];
const fieldOf = (fields: readonly string[], name: string) => fields[fields.indexOf(name) + 1];

test('every code has a response that names it, in the field and in the body', (t) => {
  for (const code of CODES) {
    const failure = failureOf(new WeftError(code, 'what happened'), 'front', 'abc');
    const { status, proxyStatus, retryable } = ERRORS[code];
    t.is(failure.status, status);
    t.is(
      fieldOf(failure.fields, 'proxy-status'),
      `weft-front; error=${proxyStatus}; details="${code}: what happened"`,
    );
    const problem = JSON.parse(failure.body.toString());
    t.like(problem, {
      type: `urn:weft:error:${code}`,
      status,
      detail: 'what happened',
      code,
      retryable,
      traceId: 'abc',
    });
    if (status !== 499) t.not(failure.reason, '', `no reason phrase for ${status}`);
  }
});

test('whatever the details are, the field is one well-formed string and the length is right', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (details) => {
      const { fields, body } = failureOf(new WeftError('internal', details), 'front', undefined);
      t.regex(
        fieldOf(fields, 'proxy-status') ?? '',
        /^weft-front; error=[a-z_]+; details="(?:[ !#-[\]-~]|\\["\\])*"$/,
      );
      t.is(Number(fieldOf(fields, 'content-length')), body.length);
      t.is(JSON.parse(body.toString()).detail, details.toWellFormed());
    }),
  );
});

test('Retry-After stands only where waiting helps', (t) => {
  const told = CODES.filter((code) =>
    failureOf(new WeftError(code, ''), 'a', undefined).fields.includes('retry-after'),
  );
  t.deepEqual(told.sort(), ['bus_down', 'no_endpoint', 'overloaded', 'policy_unknown', 'retry_budget_spent']);
});
