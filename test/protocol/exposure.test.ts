import test from 'ava';
import { exposureRefusal } from '../../src/protocol/exposure.ts';

test('a service of the whole mesh may be reached by everybody', (t) => {
  for (const exposure of ['mesh', undefined] as const) {
    for (const caller of ['default', 'shop', undefined]) {
      t.is(exposureRefusal('orders.shop', exposure, caller), undefined);
    }
  }
});

test('a service of its namespace may be reached from there only, and the refusal says why', (t) => {
  t.is(exposureRefusal('orders.shop', 'namespace', 'shop'), undefined);
  const refusal = exposureRefusal('orders.shop', 'namespace', 'default') ?? '';
  t.regex(refusal, /orders\.shop has exposure: namespace.*namespace shop.*default/);
  t.regex(exposureRefusal('orders.shop', 'namespace', undefined) ?? '', /not known/);
  t.truthy(exposureRefusal('orders.shop', 'namespace', 'orders'), 'the name is not the namespace');
});
