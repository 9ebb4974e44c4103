import test from 'ava';
import { BoundedMap } from '../../src/protocol/bounded-map.ts';

test('beyond the limit the entry that was made first is forgotten', (t) => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  map.set('c', 3);
  t.deepEqual([map.get('a'), map.get('b'), map.get('c')], [undefined, 2, 3]);
});

test('an entry that gets another value takes the place of none', (t) => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  map.set('b', 3);
  t.deepEqual([map.get('a'), map.get('b')], [1, 3]);
});
