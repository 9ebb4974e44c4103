/** The kernel's tables of TCP sockets, /proc/net/tcp and /proc/net/tcp6: proc_net_tcp(5), Linux. */
import { open } from 'node:fs/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { endianness } from 'node:os';

export type TableName = 'tcp' | 'tcp6';

/** What the table says of one end of a connection. */
export interface SocketRow {
  /** 1 ESTABLISHED, 4 FIN_WAIT1, 5 FIN_WAIT2, 8 CLOSE_WAIT, …: include/net/tcp_states.h. */
  readonly state: number;
  /** Of who made the socket; 0 also if no process has it any more. */
  readonly uid: number;
  /** 0 if no process has it: not yet, or no more. */
  readonly inode: number;
}

/** A local and a remote address with what separates them. */
const ENDS_CHARACTERS = { tcp: 2 * (8 + 1 + 4) + 1, tcp6: 2 * (32 + 1 + 4) + 1 };

/** `0100007F:1F90`: an address as the table has it. Undefined if the text is no IP address. */
export function tableAddress(
  table: TableName,
  address: string,
  port: number,
  order: 'LE' | 'BE' = endianness(),
): string | undefined {
  const bytes = table === 'tcp' ? bytesOfIPv4(address) : bytesOfIPv6(address);
  if (bytes === undefined) return undefined;
  // The kernel prints words of network bytes as if they were numbers of its own.
  if (order === 'LE') bytes.swap32();
  const hexPort = port.toString(16).padStart(4, '0');
  return `${bytes.toString('hex')}:${hexPort}`.toUpperCase();
}

/** Which connection a row is about, and seen from which side: `local remote`, as `tableAddress` gives them. */
export function endsOf(table: TableName, line: string): string {
  const start = line.indexOf(': ') + 2;
  return line.slice(start, start + ENDS_CHARACTERS[table]);
}

/** The rest of a row. */
export function parseRow(line: string): SocketRow {
  const [, , , state = '', , , , uid, , inode] = line.trim().split(/ +/);
  return { state: Number.parseInt(state, 16), uid: Number(uid), inode: Number(inode) };
}

/**
 * Reads a table from its start, and gives each line to `each` in the order in which the kernel has looked at them. The kernel
 * hands out a page at a time, so that between two pages the event loop runs. `goOn` is asked after each page.
 */
export async function readTable(
  table: TableName,
  each: (line: string) => void,
  goOn: () => boolean,
): Promise<void> {
  const file = await open(`/proc/net/${table}`);
  try {
    const page = Buffer.allocUnsafe(64 * 1024);
    let rest = '';
    while (goOn()) {
      const { bytesRead } = await file.read(page, 0, page.length, null);
      if (bytesRead === 0) return;
      const lines = (rest + page.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) each(line);
    }
  } finally {
    await file.close();
  }
}

function bytesOfIPv4(address: string): Buffer | undefined {
  return isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : undefined;
}

/** IPv4 as IPv6 sockets have it: ::ffff:a.b.c.d. */
function bytesOfIPv6(address: string): Buffer | undefined {
  const [plain = ''] = address.split('%');
  if (isIPv4(plain)) return bytesOfIPv6(`::ffff:${plain}`);
  if (!isIPv6(plain)) return undefined;
  const [head = '', tail] = plain.split('::');
  const before = bytesOfGroups(head);
  const after = bytesOfGroups(tail ?? '');
  return Buffer.concat([before, Buffer.alloc(16 - before.length - after.length), after]);
}

function bytesOfGroups(text: string): Buffer {
  const groups = text === '' ? [] : text.split(':');
  const bytes = groups.map((group) => bytesOfIPv4(group) ?? Buffer.from(group.padStart(4, '0'), 'hex'));
  return Buffer.concat(bytes);
}
