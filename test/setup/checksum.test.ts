import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { checksumOf, verifyChecksum } from '../../scripts/setup/checksum.mjs';
import { SetupError } from '../../scripts/setup/failure.mjs';

const OF_ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

test('a file passes only with the checksum that was announced for it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'download');
  writeFileSync(file, 'abc');
  t.notThrows(() => verifyChecksum(file, OF_ABC));
  t.notThrows(() => verifyChecksum(file, OF_ABC.toUpperCase()));
  writeFileSync(file, 'abd');
  t.throws(() => verifyChecksum(file, OF_ABC), { instanceOf: SetupError, message: /expected ba7816bf/ });
});

test('a file passes never without a checksum', (t) => {
  t.throws(() => verifyChecksum('/dev/null', ''), { instanceOf: SetupError });
  t.throws(() => verifyChecksum('/dev/null', OF_ABC.slice(1)), { instanceOf: SetupError });
});

test('the checksum of a file is found by its whole name', (t) => {
  const other = OF_ABC.replace('b', '0');
  const text = `${other}  nats-server-v2.10.27-linux-amd64.tar.gz.asc\n${OF_ABC} *nats-server-v2.10.27-linux-amd64.tar.gz\n`;
  t.is(checksumOf(text, 'nats-server-v2.10.27-linux-amd64.tar.gz'), OF_ABC);
  t.throws(() => checksumOf(text, 'nats-server-v2.10.27-linux-arm64.tar.gz'), { instanceOf: SetupError });
});
