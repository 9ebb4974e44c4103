import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { endsOf, parseRow, readTable, tableAddress } from '../../../src/agent/outbound/socket-table.ts';

const onLinux = process.platform === 'linux' ? test : test.skip;

test('addresses are written as the kernel prints them, on machines of either byte order', (t) => {
  t.is(tableAddress('tcp', '127.0.0.1', 8080, 'LE'), '0100007F:1F90');
  t.is(tableAddress('tcp', '127.0.0.1', 8080, 'BE'), '7F000001:1F90');
  t.is(tableAddress('tcp6', '::1', 1, 'LE'), '00000000000000000000000001000000:0001');
  t.is(tableAddress('tcp6', '::1', 1, 'BE'), '00000000000000000000000000000001:0001');
  t.is(tableAddress('tcp6', '2001:db8::1', 65_535, 'LE'), 'B80D0120000000000000000001000000:FFFF');
  t.is(
    tableAddress('tcp6', 'fe80::a:1%eth0', 1, 'BE'),
    'FE80000000000000000000000000A0001:0001'.replace('0A0001', 'A0001'),
  );
});

test('an IPv4 address has one form among IPv6 sockets, however it is written', (t) => {
  const mapped = '0000000000000000FFFF00000100007F:1F90';
  t.is(tableAddress('tcp6', '127.0.0.1', 8080, 'LE'), mapped);
  t.is(tableAddress('tcp6', '::ffff:127.0.0.1', 8080, 'LE'), mapped);
  t.is(tableAddress('tcp6', '::ffff:7f00:1', 8080, 'LE'), mapped);
});

test('what is no address of the table’s kind has no form in it', (t) => {
  for (const text of ['', '::1', 'localhost', '1.2.3', '256.1.1.1'])
    t.is(tableAddress('tcp', text, 1), undefined);
  for (const text of ['', 'localhost', '1::2::3', ':::']) t.is(tableAddress('tcp6', text, 1), undefined);
});

test('different IPv6 addresses have different forms, and the ways to write one have the same', (t) => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  const groups = fc.array(group, { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (words) => {
      const long = words.map((word) => word.toString(16)).join(':');
      const hex = words
        .map((word) => word.toString(16).padStart(4, '0'))
        .join('')
        .toUpperCase();
      const short = new URL(`http://[${long}]`).hostname.slice(1, -1);
      t.is(tableAddress('tcp6', long, 1, 'BE'), `${hex}:0001`);
      t.is(tableAddress('tcp6', short, 1, 'BE'), `${hex}:0001`);
    }),
  );
});

test('a row tells its ends, state, uid and inode, also past the ten thousandth', (t) => {
  for (const number of ['   0', ' 999', '12345']) {
    const line = `${number}: 0100007F:A9A4 0100007F:1F90 01 00000001:00000002 02:000003E8 00000000  1000        0 54321 2 0000 20 4 30 10 -1   `;
    t.is(endsOf('tcp', line), '0100007F:A9A4 0100007F:1F90');
    t.deepEqual(parseRow(line), { state: 1, uid: 1000, inode: 54_321 });
  }
});

onLinux('both sides of a connection are found in the kernel’s own tables', async (t) => {
  for (const [host, table] of [
    ['127.0.0.1', 'tcp'],
    ['::1', 'tcp6'],
  ] as const) {
    const server = createServer().listen(0, host);
    t.teardown(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = connect(port, host);
    t.teardown(() => client.destroy());
    await once(client, 'connect');
    const far = tableAddress(table, client.localAddress as string, client.localPort as number);
    const own = tableAddress(table, host, port);
    const rows: object[] = [];
    const each = (line: string) => {
      if ([`${far} ${own}`, `${own} ${far}`].includes(endsOf(table, line))) rows.push(parseRow(line));
    };
    await readTable(table, each, () => true);
    t.is(rows.length, 2, host);
    for (const row of rows) t.like(row, { state: 1, uid: process.getuid?.() });
  }
});
