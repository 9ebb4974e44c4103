import test from 'ava';
import { isAtLeast, readVersion } from '../../scripts/setup/version.mjs';

test('a version is read out of what a program prints', (t) => {
  t.deepEqual(readVersion('nats-server: v2.10.27\n'), [2, 10, 27]);
  t.deepEqual(readVersion('v24.21.0'), [24, 21, 0]);
  t.deepEqual(readVersion('2.10'), [2, 10, 0]);
  t.is(readVersion('nats-server: latest'), undefined);
});

test('versions are compared by number, not by letter', (t) => {
  t.true(isAtLeast('v2.10.0', [2, 10]));
  t.true(isAtLeast('v3.0.0', [2, 10]));
  t.false(isAtLeast('v2.9.25', [2, 10]), 'Debian 12');
  t.false(isAtLeast('v1.99.0', [2, 10]));
  t.false(isAtLeast('v20.20.2', [24, 0]));
});

test('a program that prints no version is not new enough', (t) => {
  t.false(isAtLeast('', [2, 10]));
  t.false(isAtLeast('command not found', [2, 10]));
});
