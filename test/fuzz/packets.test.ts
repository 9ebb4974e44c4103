import test from 'ava';
import { fuzzPackets } from './packets.ts';

test('no bytes from the bus get anything but an answer or a WeftError out of the decoders', (t) => {
  const counts = fuzzPackets(2, 20_260_101);
  for (const [name, { inputs, taken }] of Object.entries(counts)) {
    t.true(inputs > 100 && taken > 0, `${name}: ${taken} of ${inputs} taken`);
  }
});
