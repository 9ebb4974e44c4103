import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { createSocketOwners } from '../../../src/agent/outbound/socket-owner.ts';
import { type readTable, type TableName, tableAddress } from '../../../src/agent/outbound/socket-table.ts';
import { LIMITS } from '../../../src/protocol/limits.ts';

type Read = typeof readTable;

/** A connection, and the rows of a table that say something of it. */
async function accepted(t: ExecutionContext) {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const arrival = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await arrival) as [Socket];
  t.teardown(() => {
    client.destroy();
    socket.destroy();
  });
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const inode = fstatSync(fd).ino;
  const at = (table: TableName, side: 'local' | 'remote') =>
    tableAddress(table, socket[`${side}Address`] as string, socket[`${side}Port`] as number);
  const row = (ends: string, uid: number, node: number, state: string) =>
    `   1: ${ends} ${state} 00000000:00000000 00:00000000 00000000 ${uid} 0 ${node} 1 0000 20 4 30 10 -1`;
  return {
    socket,
    far: (uid: number, node = 77, state = '01', table: TableName = 'tcp') =>
      row(`${at(table, 'remote')} ${at(table, 'local')}`, uid, node, state),
    own: (node = inode, table: TableName = 'tcp') =>
      row(`${at(table, 'local')} ${at(table, 'remote')}`, 0, node, '01'),
  };
}

/** What the tables hold, pass after pass; the last of each for ever. Counts the passes. */
function tables(passes: readonly { tcp?: readonly string[]; tcp6?: readonly string[] }[]) {
  const told = { passes: 0 };
  const read: Read = async (table, each, goOn) => {
    if (table === 'tcp') told.passes += 1;
    const rows = passes[Math.min(told.passes, passes.length) - 1]?.[table] ?? [];
    for (const line of rows) if (goOn()) each(line);
  };
  return { told, owners: createSocketOwners(() => 0, read) };
}

test('a connection is of who made its far side, if our side is still there after that was seen', async (t) => {
  const { socket, far, own } = await accepted(t);
  const { owners, told } = tables([{ tcp: [far(1000), own()] }]);
  t.is(await owners.uidOf(socket), 1000);
  t.is(told.passes, 1);
});

test('our side that was seen before the far one proves nothing: it is looked at again', async (t) => {
  const { socket, far, own } = await accepted(t);
  const { owners, told } = tables([{ tcp: [own(), far(1000)] }]);
  t.is(await owners.uidOf(socket), 1000);
  t.is(told.passes, 2);
  const gone = tables([{ tcp: [own(), far(1000)] }, { tcp: [far(1000)] }]);
  await t.throwsAsync(gone.owners.uidOf(socket), { message: /not in the table of sockets/ });
});

test('who uses the port of a caller that has gone is not taken for it', async (t) => {
  const { socket, far, own } = await accepted(t);
  // The same two addresses, but the accepted socket between them is another one.
  await t.throwsAsync(tables([{ tcp: [far(1000), own(4711)] }]).owners.uidOf(socket));
  const meanwhile = [{ tcp: [own(), far(1000)] }, { tcp: [far(1000), own(4711)] }];
  await t.throwsAsync(tables(meanwhile).owners.uidOf(socket));
});

test('what no process holds is shown as root’s, and is not', async (t) => {
  const { socket, far, own } = await accepted(t);
  for (const orphan of [far(0, 0), far(0, 0, '06'), far(0, 77, '06'), far(1000, 77, '02'), far(1000, 0)]) {
    await t.throwsAsync(tables([{ tcp: [orphan, own()] }]).owners.uidOf(socket), undefined, orphan);
  }
  // The process goes while its row is being read.
  await t.throwsAsync(tables([{ tcp: [far(0), own()] }, { tcp: [far(0, 0), own()] }]).owners.uidOf(socket));
  t.is(await tables([{ tcp: [far(0), own()] }]).owners.uidOf(socket), 0);
});

test('a caller that has ended its half is still told', async (t) => {
  const { socket, far, own } = await accepted(t);
  for (const state of ['04', '05']) {
    t.is(await tables([{ tcp: [far(1000, 77, state), own()] }]).owners.uidOf(socket), 1000);
  }
});

test('an IPv6 socket that has connected to an IPv4 door is found in the other table', async (t) => {
  const { socket, far, own } = await accepted(t);
  const { owners, told } = tables([{ tcp: [own()], tcp6: [far(1000, 77, '01', 'tcp6')] }]);
  t.is(await owners.uidOf(socket), 1000);
  t.is(told.passes, 2);
});

test('a row that was overlooked once is found the next time', async (t) => {
  const { socket, far, own } = await accepted(t);
  t.is(await tables([{ tcp: [own()] }, { tcp: [far(1000), own()] }]).owners.uidOf(socket), 1000);
});

test('tables that cannot be read, or take too long, tell nothing', async (t) => {
  const { socket, far, own } = await accepted(t);
  const broken = createSocketOwners(
    () => 0,
    async () => {
      throw new Error('ENOENT');
    },
  );
  await t.throwsAsync(broken.uidOf(socket), { message: /cannot be read: ENOENT/ });
  let nowMs = 0;
  const slow = createSocketOwners(
    () => nowMs,
    async (_table, each, goOn) => {
      while (goOn()) nowMs += LIMITS.doorLookupMs / 3;
      each(far(1000));
    },
  );
  await t.throwsAsync(slow.uidOf(socket), { message: /over 5000 ms/ });
  t.is(await tables([{ tcp: [far(1000), own()] }]).owners.uidOf(socket), 1000);
});

test('all that wait when a pass begins share it', async (t) => {
  const connections = await Promise.all([accepted(t), accepted(t), accepted(t)]);
  const rows = connections.flatMap(({ far, own }, at) => [far(1000 + at), own()]);
  const { owners, told } = tables([{ tcp: rows }]);
  const uids = connections.map(({ socket }) => owners.uidOf(socket));
  t.deepEqual(await Promise.all(uids), [1000, 1001, 1002]);
  // The first was alone when its pass began.
  t.is(told.passes, 2);
});

test('no more than a limit of them wait', async (t) => {
  const { socket, far, own } = await accepted(t);
  const gate = Promise.withResolvers<void>();
  const owners = createSocketOwners(
    () => 0,
    async (_table, each) => {
      await gate.promise;
      for (const line of [far(1000), own()]) each(line);
    },
  );
  const all = Array.from({ length: LIMITS.doorLookupsMax }, () => owners.uidOf(socket));
  await t.throwsAsync(owners.uidOf(socket), { message: /too many connections wait/ });
  gate.resolve();
  await Promise.allSettled(all);
  t.is(await owners.uidOf(socket), 1000);
});

test('a connection that is closed already is nobody’s', async (t) => {
  const { socket } = await accepted(t);
  socket.destroy();
  await t.throwsAsync(tables([{}]).owners.uidOf(socket), { message: /no file descriptor/ });
});
