import test from 'ava';
import { fuzzHttp1 } from './http1.ts';

test('however messages are broken or cut, they are refused or read as every other hop reads them', (t) => {
  const { inputs, messages, refused } = fuzzHttp1(2, 20_260_102);
  t.true(inputs > 500 && messages > 500 && refused > 100, JSON.stringify({ inputs, messages, refused }));
});
